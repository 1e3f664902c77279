-- The accounting of disclosures: what left, to whom and why. No content. The same types as in the first migration.

CREATE TABLE disclosures (
    id UUID PRIMARY KEY NOT NULL,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    member_id UUID NOT NULL REFERENCES members (id),
    purpose TEXT NOT NULL,
    recipient BYTEA NOT NULL, -- sealed under the member's key: name and, where known, address
    parts TEXT NOT NULL, -- the kinds of record that went out, as a JSON list
    withheld_until BIGINT, -- an agency has asked that the member is not told before (45 CFR 164.528(a)(2))
    disclosed_by UUID NOT NULL,
    disclosed_at BIGINT NOT NULL
);
CREATE INDEX disclosures_of_organization ON disclosures (organization_id, id);
CREATE INDEX disclosures_of_member ON disclosures (member_id, id);
