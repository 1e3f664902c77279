//! The accounting of disclosures.
