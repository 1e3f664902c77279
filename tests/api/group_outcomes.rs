//! Outcome figures of groups and organizations, and somebody who tries to derive one value from many of them.
