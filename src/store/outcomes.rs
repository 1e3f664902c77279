//! The rows of outcome figures, read in passing and never held all at once.
