//! What a therapist reads before a session, and the reviews that are kept.
