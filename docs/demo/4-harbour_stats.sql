\echo The statistics office reads its view with any client; the values are masked before it can ask about them:
SELECT * FROM harbour_stats.passengers ORDER BY fare DESC, id LIMIT 5;
SELECT born AS age, count(*), round(100 * avg(survived::int)) AS survived_percent FROM harbour_stats.passengers GROUP BY born ORDER BY born;
