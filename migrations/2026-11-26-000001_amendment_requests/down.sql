-- Nothing goes back: what a member asked, and was answered, is kept for six years (45 CFR 164.526(f)).
SELECT 1;
