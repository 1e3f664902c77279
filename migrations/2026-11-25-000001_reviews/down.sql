-- Nothing goes back: a review is evidence.
SELECT 1;
