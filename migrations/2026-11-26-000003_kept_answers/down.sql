-- Nothing goes back: what the answers showed is gone.
SELECT 1;
