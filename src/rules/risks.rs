//! Risk marks: the states, who is due to act until when, and what happens when nobody does.
