//! What an export holds and under which names.
