-- Equality of encrypted columns. encrypted_eq compares by match tag; encrypted has = and <> only to say what to do instead.
-- Neither has an operator class: over literals on their way an order would be inconsistent, so ORDER BY, GROUP BY, DISTINCT and
-- UNIQUE of the column itself are errors when parsed. match_tag(column) has all of these.
CREATE FUNCTION airlock.match_tag(airlock.encrypted_eq) RETURNS bigint IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_tag';
CREATE FUNCTION airlock.match_tag16(airlock.encrypted_eq) RETURNS uuid IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_tag16';
-- what plans are made of
CREATE FUNCTION airlock.match_needle(number integer, value "any") RETURNS bigint STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_needle';
CREATE FUNCTION airlock.match_needle16(number integer, value "any") RETURNS uuid STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_needle16';
CREATE FUNCTION airlock.match_needle_each(number integer, "values" "any") RETURNS bigint[] STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_needle_each';
CREATE FUNCTION airlock.match_needle16_each(number integer, "values" "any") RETURNS uuid[] STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_needle16_each';
CREATE FUNCTION airlock.may_match(a integer, b integer) RETURNS boolean STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_may_match';
CREATE FUNCTION airlock.disclose_needle(rule integer, column_no integer, value "any") RETURNS bigint STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose_needle';
CREATE FUNCTION airlock.disclose_needle16(rule integer, column_no integer, value "any") RETURNS uuid STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose_needle16';
CREATE FUNCTION airlock.disclose_needles(rule integer, column_no integer, "values" "any") RETURNS bigint[] STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose_needles';
CREATE FUNCTION airlock.disclose_needles16(rule integer, column_no integer, "values" "any") RETURNS uuid[] STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose_needles16';
-- to be compared with match_tag by hand
CREATE FUNCTION airlock.match_needle(key text, value text) RETURNS bigint STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_needle_of';
CREATE FUNCTION airlock.match_needles(key text, "values" text[]) RETURNS bigint[] STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_needles_of';

CREATE FUNCTION airlock.match_support(internal) RETURNS internal STABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_support';
CREATE FUNCTION airlock.not_comparable_support(internal) RETURNS internal STABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_not_comparable_support';

-- on either side whatever can be sealed; varchar and char go as text
DO $operators$
DECLARE
  pair pg_catalog.text[];
  op pg_catalog.text;
  o pg_catalog.text[];
BEGIN
  FOR pair IN
    SELECT ARRAY['airlock.encrypted_eq', 'airlock.encrypted_eq']
    UNION ALL
    SELECT p FROM pg_catalog.unnest(ARRAY['text', 'int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'bool', 'date',
             'timestamp', 'timestamptz', 'uuid', 'jsonb', 'bytea']) t (name),
           LATERAL (VALUES (ARRAY['airlock.encrypted_eq', 'pg_catalog.' OPERATOR(pg_catalog.||) t.name]),
                           (ARRAY['pg_catalog.' OPERATOR(pg_catalog.||) t.name, 'airlock.encrypted_eq'])) v (p)
  LOOP
    FOREACH o SLICE 1 IN ARRAY ARRAY[['eq', '=', '<>', 'eqsel', 'eqjoinsel'], ['ne', '<>', '=', 'neqsel', 'neqjoinsel']] LOOP
      EXECUTE pg_catalog.format('CREATE OR REPLACE FUNCTION airlock.%1$s(%2$s, %3$s) RETURNS pg_catalog.bool STABLE STRICT PARALLEL RESTRICTED
          LANGUAGE c SUPPORT airlock.match_support AS ''MODULE_PATHNAME'', ''airlock_%1$s''', o[1], pair[1], pair[2]);
      -- as another's commutator it may be there already, without a function
      IF NOT EXISTS (SELECT FROM pg_catalog.pg_operator p WHERE p.oprcode OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
            AND p.oid OPERATOR(pg_catalog.=) pg_catalog.to_regoperator(pg_catalog.format('pg_catalog.%s(%s,%s)', o[2], pair[1], pair[2]))) THEN
        EXECUTE pg_catalog.format('CREATE OPERATOR pg_catalog.%1$s (LEFTARG = %2$s, RIGHTARG = %3$s, FUNCTION = airlock.%4$s,
            COMMUTATOR = OPERATOR(pg_catalog.%1$s), NEGATOR = OPERATOR(pg_catalog.%5$s), RESTRICT = %6$s, JOIN = %7$s)',
            o[2], pair[1], pair[2], o[1], o[3], o[4], o[5]);
      END IF;
    END LOOP;
  END LOOP;
  FOREACH pair SLICE 1 IN ARRAY ARRAY[['airlock.encrypted', 'airlock.encrypted'], ['airlock.encrypted', 'pg_catalog.text'],
      ['pg_catalog.text', 'airlock.encrypted']] LOOP
    EXECUTE pg_catalog.format('CREATE FUNCTION airlock.not_comparable(%s, %s) RETURNS pg_catalog.bool STABLE STRICT PARALLEL RESTRICTED
        LANGUAGE c SUPPORT airlock.not_comparable_support AS ''MODULE_PATHNAME'', ''airlock_not_comparable''', pair[1], pair[2]);
    FOREACH op IN ARRAY ARRAY['=', '<>'] LOOP
      EXECUTE pg_catalog.format('CREATE OPERATOR pg_catalog.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = airlock.not_comparable)', op, pair[1], pair[2]);
    END LOOP;
  END LOOP;
END
$operators$;
