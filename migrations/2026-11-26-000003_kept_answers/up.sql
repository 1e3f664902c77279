-- Where a kept answer comes from: the group, the organization or the account. With what is removed in a group go the
-- answers that could show it again. Empty where it was kept before.
ALTER TABLE idempotent_answers ADD COLUMN scope_id UUID;
CREATE INDEX idempotent_answers_of_scope ON idempotent_answers (scope_id);
