-- Every verifier in use beside the instruction it checks, best first within an instruction.
-- Example: SELECT instruction, source FROM autoif.verifier_gallery WHERE accuracy = 1 LIMIT 10;
CREATE VIEW autoif.verifier_gallery AS
SELECT v.batch, i.instruction_id, i.instruction, i.category, i.status AS instruction_status,
    v.verifier_id, v.source, v.accuracy, v.cases, b.back_translation, b.nli_label
FROM autoif.verifiers v
JOIN autoif.verified_instructions i USING (batch, instruction_id)
LEFT JOIN autoif.back_translations b USING (batch, verifier_id)
SEMI JOIN (SELECT batch, verifier_id FROM autoif.verifier_audits WHERE status = 'accepted') a
    USING (batch, verifier_id)
ORDER BY i.instruction, v.accuracy DESC, v.verifier_id;
