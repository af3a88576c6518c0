\echo What a query outside the scope gets:
SELECT name FROM public.passengers;
SELECT name FROM harbour_stats.passengers;
SELECT * FROM insurer.passengers;
SELECT airlock.decrypt(name) FROM public.passengers;
SELECT airlock.disclose(1, 'x'::text);
CREATE TEMP TABLE copy AS SELECT * FROM harbour_stats.passengers;
EXPLAIN SELECT * FROM harbour_stats.passengers WHERE survived;
\echo Even if somebody grants it too much:
\c - controller
GRANT SELECT ON public.passengers TO harbour_stats;
\c - harbour_stats
SELECT name FROM public.passengers;
\c - controller
REVOKE SELECT ON public.passengers FROM harbour_stats;
