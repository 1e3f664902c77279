//! Goals and their ratings, homework and what became of it.
