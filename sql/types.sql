-- The two encrypted types. Neither has an operator class, encrypted nothing that compares: a missing capability is an
-- error, never a wrong result. What seals is VOLATILE (folded, it would repeat a nonce), input is STABLE
-- because CREATE TYPE wants it so, and is called per value all the same. Nothing that decrypts is IMMUTABLE.
CREATE TYPE airlock.encrypted;
CREATE TYPE airlock.encrypted_eq;

CREATE FUNCTION airlock.encrypted_in(cstring, oid, integer) RETURNS airlock.encrypted STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_in';
CREATE FUNCTION airlock.encrypted_out(airlock.encrypted) RETURNS cstring IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_out';
CREATE FUNCTION airlock.encrypted_recv(internal, oid, integer) RETURNS airlock.encrypted STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_recv';
CREATE FUNCTION airlock.encrypted_send(airlock.encrypted) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_send';
CREATE FUNCTION airlock.encrypted_eq_in(cstring, oid, integer) RETURNS airlock.encrypted_eq STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_eq_in';
CREATE FUNCTION airlock.encrypted_eq_out(airlock.encrypted_eq) RETURNS cstring IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_out';
CREATE FUNCTION airlock.encrypted_eq_recv(internal, oid, integer) RETURNS airlock.encrypted_eq STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_eq_recv';
CREATE FUNCTION airlock.encrypted_eq_send(airlock.encrypted_eq) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_send';
CREATE FUNCTION airlock.encrypted_typmod_in(cstring[]) RETURNS integer STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_typmod_in';
CREATE FUNCTION airlock.encrypted_typmod_out(integer) RETURNS cstring IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_typmod_out';

CREATE TYPE airlock.encrypted (
  INPUT = airlock.encrypted_in, OUTPUT = airlock.encrypted_out, RECEIVE = airlock.encrypted_recv, SEND = airlock.encrypted_send,
  TYPMOD_IN = airlock.encrypted_typmod_in, TYPMOD_OUT = airlock.encrypted_typmod_out,
  INTERNALLENGTH = VARIABLE, ALIGNMENT = int4, STORAGE = external
);
CREATE TYPE airlock.encrypted_eq (
  INPUT = airlock.encrypted_eq_in, OUTPUT = airlock.encrypted_eq_out, RECEIVE = airlock.encrypted_eq_recv, SEND = airlock.encrypted_eq_send,
  TYPMOD_IN = airlock.encrypted_typmod_in, TYPMOD_OUT = airlock.encrypted_typmod_out,
  INTERNALLENGTH = VARIABLE, ALIGNMENT = int4, STORAGE = external
);

-- the length coercion: seals a carrier under the column's key
CREATE FUNCTION airlock.encrypted_coerce(airlock.encrypted, integer, boolean) RETURNS airlock.encrypted VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_coerce';
CREATE FUNCTION airlock.encrypted_eq_coerce(airlock.encrypted_eq, integer, boolean) RETURNS airlock.encrypted_eq VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_eq_coerce';
CREATE CAST (airlock.encrypted AS airlock.encrypted) WITH FUNCTION airlock.encrypted_coerce(airlock.encrypted, integer, boolean) AS IMPLICIT;
CREATE CAST (airlock.encrypted_eq AS airlock.encrypted_eq) WITH FUNCTION airlock.encrypted_eq_coerce(airlock.encrypted_eq, integer, boolean) AS IMPLICIT;

-- assignment casts in, one per source type; one C function reads the source type off the call site
DO $casts$
DECLARE
  source pg_catalog.text;
BEGIN
  FOREACH source IN ARRAY ARRAY['text', 'varchar', 'bpchar', 'int2', 'int4', 'int8', 'numeric', 'float4', 'float8',
      'bool', 'date', 'timestamp', 'timestamptz', 'uuid', 'json', 'jsonb', 'bytea'] LOOP
    EXECUTE pg_catalog.format($sql$
      CREATE FUNCTION airlock.to_encrypted(pg_catalog.%1$s, integer, boolean) RETURNS airlock.encrypted VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_to_encrypted';
      CREATE CAST (pg_catalog.%1$s AS airlock.encrypted) WITH FUNCTION airlock.to_encrypted(pg_catalog.%1$s, integer, boolean) AS ASSIGNMENT;
      CREATE FUNCTION airlock.to_encrypted_eq(pg_catalog.%1$s, integer, boolean) RETURNS airlock.encrypted_eq VOLATILE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_to_encrypted_eq';
      CREATE CAST (pg_catalog.%1$s AS airlock.encrypted_eq) WITH FUNCTION airlock.to_encrypted_eq(pg_catalog.%1$s, integer, boolean) AS ASSIGNMENT;
    $sql$, source);
  END LOOP;
END
$casts$;

-- binds an unbound value of a bound column to a row, as the trigger does: for the rewrite by encrypt_column
CREATE FUNCTION airlock.encrypted_bind(airlock.encrypted, VARIADIC "any") RETURNS airlock.encrypted VOLATILE CALLED ON NULL INPUT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_bind';
CREATE FUNCTION airlock.encrypted_eq_bind(airlock.encrypted_eq, VARIADIC "any") RETURNS airlock.encrypted_eq VOLATILE CALLED ON NULL INPUT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_eq_bind';

-- the only cast out: explicit, to text, and it is decrypt
CREATE FUNCTION airlock.decrypt(airlock.encrypted) RETURNS text STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_decrypt';
CREATE FUNCTION airlock.decrypt(airlock.encrypted_eq) RETURNS text STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_decrypt';
CREATE CAST (airlock.encrypted AS text) WITH FUNCTION airlock.decrypt(airlock.encrypted);
CREATE CAST (airlock.encrypted_eq AS text) WITH FUNCTION airlock.decrypt(airlock.encrypted_eq);
-- typed: the second argument only names the type, NULL::date
CREATE FUNCTION airlock.decrypt(airlock.encrypted, anyelement) RETURNS anyelement STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_decrypt_as';
CREATE FUNCTION airlock.decrypt(airlock.encrypted_eq, anyelement) RETURNS anyelement STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_decrypt_as';
-- of a column that is bound to its row: the bound columns follow, decrypt(ssn, NULL::text, id)
CREATE FUNCTION airlock.decrypt(airlock.encrypted, anyelement, VARIADIC "any") RETURNS anyelement STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_decrypt_as';
CREATE FUNCTION airlock.decrypt(airlock.encrypted_eq, anyelement, VARIADIC "any") RETURNS anyelement STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_decrypt_as';
