//! Pictures of progress.
