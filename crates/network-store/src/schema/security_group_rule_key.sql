-- What a rule lets through, in one text (network_model::security_group::Rule::match_key): a group has no two of the same.
ALTER TABLE security_group_rules ADD COLUMN match_key TEXT;
-- Rules from before that column are told apart by their id.
UPDATE security_group_rules SET match_key = id;
CREATE UNIQUE INDEX security_group_rules_match ON security_group_rules (security_group_id, match_key);
