//! Pictures of progress as SVG.
