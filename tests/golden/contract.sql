-- Every object of the extension with all that decides who may do what with it: one line each.
WITH member AS (
  SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
   WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'pg_airlock')
SELECT line FROM (
  SELECT format('function %s -> %s %s %s parallel %s cost %s%s%s%s acl %s', p.oid::regprocedure, pg_get_function_result(p.oid),
           CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
           CASE WHEN p.proisstrict THEN 'strict' ELSE 'null-input' END, p.proparallel, p.procost,
           CASE WHEN p.proleakproof THEN ' LEAKPROOF' END,
           concat(CASE WHEN p.prosecdef THEN ' definer' END, ' support ' || nullif(p.prosupport, 0)::regproc),
           ' ' || array_to_string(p.proconfig, ';'),
           (SELECT string_agg(coalesce(nullif(a.grantee, 0)::regrole::text, 'public') || '=' || a.privilege_type, ',' ORDER BY a.grantee::regrole::text)
              FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee <> p.proowner)) AS line
    FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
   WHERE p.pronamespace::regnamespace::text <> 'tests'
  UNION ALL
  SELECT format('%s %s acl %s', CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' ELSE c.relkind::text END,
           c.oid::regclass,
           (SELECT string_agg(coalesce(nullif(a.grantee, 0)::regrole::text, 'public') || '=' || a.privilege_type, ',' ORDER BY a.grantee::regrole::text, a.privilege_type)
              FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a WHERE a.grantee <> c.relowner))
    FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
  UNION ALL
  SELECT format('cast %s -> %s %s %s', k.castsource::regtype, k.casttarget::regtype, k.castcontext, k.castfunc::regprocedure)
    FROM member m JOIN pg_cast k ON m.classid = 'pg_cast'::regclass AND k.oid = m.objid
  UNION ALL
  SELECT format('operator %s %s merges %s hashes %s', o.oid::regoperator, o.oprcode, o.oprcanmerge, o.oprcanhash)
    FROM member m JOIN pg_operator o ON m.classid = 'pg_operator'::regclass AND o.oid = m.objid
  UNION ALL
  SELECT format('type %s storage %s typmod %s', t.oid::regtype, t.typstorage, t.typmodin)
    FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid WHERE t.typtype = 'b' AND t.typelem = 0
  UNION ALL
  SELECT format('schema %s owner %s acl %s', n.nspname, CASE WHEN n.nspowner = 10 THEN 'installer' ELSE n.nspowner::regrole::text END,
           (SELECT string_agg(coalesce(nullif(a.grantee, 0)::regrole::text, 'public') || '=' || a.privilege_type, ',' ORDER BY a.grantee::regrole::text)
              FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a WHERE a.grantee <> n.nspowner))
    FROM pg_namespace n WHERE n.nspname IN ('airlock', 'airlock_catalog', 'airlock_scope')
  UNION ALL
  SELECT format('opclass %s', o.opcname) FROM member m JOIN pg_opclass o ON m.classid = 'pg_opclass'::regclass AND o.oid = m.objid
  UNION ALL
  SELECT format('role %s login %s super %s inherit %s createdb %s createrole %s replication %s bypassrls %s', r.rolname, r.rolcanlogin, r.rolsuper,
           r.rolinherit, r.rolcreatedb, r.rolcreaterole, r.rolreplication, r.rolbypassrls)
    FROM pg_roles r WHERE r.rolname LIKE 'airlock\_%'
) objects ORDER BY line COLLATE pg_catalog."C"
