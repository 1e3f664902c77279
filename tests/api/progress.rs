//! A member's progress: own across all groups, and as a therapist sees it.
