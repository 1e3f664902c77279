-- The first migration has nothing to go back to.
SELECT 1;
