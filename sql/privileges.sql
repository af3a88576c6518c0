-- Last of all: what nobody granted, nobody has. Views' functions run with the reader's rights, so EXECUTE protects
-- nothing on gate, disclose and decrypt: they check in Rust. Sub-processors get no USAGE on schema airlock.
REVOKE ALL ON SCHEMA airlock, airlock_catalog, airlock_scope FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA airlock FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA airlock, airlock_catalog FROM PUBLIC;
ALTER SCHEMA airlock_scope OWNER TO airlock_view_owner;

GRANT USAGE ON SCHEMA airlock TO airlock_admin, airlock_auditor;
GRANT EXECUTE ON FUNCTION airlock.gate(integer), airlock.gate_parallel(integer), airlock.disclose(integer, "any"), airlock.disclose(integer, "any", anyelement),
  airlock.disclose(integer, "any", anyelement, VARIADIC "any") TO PUBLIC;
DO $grants$
DECLARE
  f pg_catalog.regprocedure;
BEGIN
  -- masks without a key, which hold no secret; input, output, casts, decrypt and = of the encrypted types: whoever may write the
  -- column needs them; what opens checks in Rust
  FOR f IN SELECT p.oid FROM pg_catalog.pg_proc p WHERE p.pronamespace OPERATOR(pg_catalog.=) 'airlock'::pg_catalog.regnamespace
             AND p.proname OPERATOR(pg_catalog.~) '^(mask_|encrypted_|to_encrypted|decrypt$|eq$|ne$|match_tag|match_needle|may_match$|disclose_needle|disclose_filter$|not_comparable$)' LOOP
    EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', f);
  END LOOP;
END
$grants$;
GRANT EXECUTE ON FUNCTION airlock.encrypt_column(regclass, name, text, boolean, boolean, text[]), airlock.decrypt_column(regclass, name) TO PUBLIC;
GRANT EXECUTE ON PROCEDURE airlock.reencrypt(regclass, name, integer, integer, integer),
  airlock.encrypt_column_online(regclass, name, text, boolean, boolean, integer, integer, integer, boolean) TO PUBLIC;
GRANT EXECUTE ON FUNCTION airlock.seal_twin() TO PUBLIC;
GRANT EXECUTE ON FUNCTION airlock.verify_column(regclass, name), airlock.nonce_audit(regclass, name), airlock.scrub(regclass) TO PUBLIC;
GRANT EXECUTE ON FUNCTION
  airlock.create_key(text, text, integer, text), airlock.grant_decrypt(text, regrole), airlock.revoke_decrypt(text, regrole),
  airlock.grant_match(text, regrole), airlock.revoke_match(text, regrole),
  airlock.rotate_key(text), airlock.retire_key_version(text, integer, integer), airlock.destroy_key_version(text, integer, integer),
  airlock.lock(), airlock.unlock(), airlock.rotate_subject_key(), airlock.destroy_subject_key(integer), airlock.set_log_retention(text, integer, integer, integer),
  airlock.accept_log_gap(text), airlock.hold_log(text, text), airlock.release_log_hold(integer, text),
  airlock.create_subprocessor(text, regrole, text, text, text[], date, text[], boolean, jsonb), airlock.alter_subprocessor(text, jsonb),
  airlock.rotate_mask_key(text, text), airlock.destroy_mask_key(text, text, integer),
  airlock.suspend(text, text), airlock.resume(text, text), airlock.terminate(text, text),
  airlock.create_scope(text, regclass, jsonb, text, text[], text[], name, boolean, boolean), airlock.replace_scope(text, regclass, jsonb, text, text[], text[], name, boolean, boolean),
  airlock.preview_scope(text, regclass, jsonb, text, text[], text[], name, boolean, boolean), airlock.drop_scope(text, regclass),
  airlock.link_risk(text, text, integer), airlock.trace(text, text),
  airlock.set_class(text, jsonb, boolean, text), airlock.drop_class(text, text), airlock.propose_scope(text, regclass),
  airlock.self_test(text)
  TO airlock_admin;
GRANT EXECUTE ON FUNCTION airlock.doctor(), airlock.version(), airlock.due(interval), airlock.processing_record(), airlock.processing_record_csv(),
  airlock.breach_report(text, timestamptz, timestamptz)
  TO airlock_admin, airlock_auditor;
GRANT EXECUTE ON FUNCTION airlock.report(text), airlock.verify_log(), airlock.log_head(), airlock.verify_head(text), airlock.unsettled_records(), airlock.note_log_read(), airlock.who_saw(regclass, text[]) TO airlock_auditor;
GRANT SELECT ON airlock.keys, airlock.mask_keys, airlock.encrypted_columns, airlock.subprocessors, airlock.scopes, airlock.field_access, airlock.masks, airlock.subject_epochs, airlock.log_holds,
  airlock.subprocessor_history, airlock.scope_history, airlock.field_history, airlock.unused_fields,
  airlock.classes, airlock.class_history, airlock.classified_columns, airlock.self_tests TO airlock_admin, airlock_auditor;
GRANT SELECT ON airlock.access_log, airlock.audit_log TO airlock_auditor;
-- constants are data: for whoever administers, and on record
GRANT EXECUTE ON FUNCTION airlock.statement_values(bigint) TO airlock_admin;
-- shows each reader what is its own
GRANT SELECT ON airlock.progress TO PUBLIC;
