//! Records that are taken out, and who is told of it.
