-- Nothing goes back: what was removed by a rule is gone, and that it was stays.
SELECT 1;
