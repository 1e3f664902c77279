//! Goals, their ratings, and homework.
