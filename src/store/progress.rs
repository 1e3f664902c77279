//! The rows of a member's progress.
