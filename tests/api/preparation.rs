//! What a therapist reads before a session.
