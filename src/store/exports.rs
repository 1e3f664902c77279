//! The rows of a record that is taken out.
