//! Who needs attention first before a session, with the reason for each mark.
