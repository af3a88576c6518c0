SELECT airlock.create_subprocessor('harbour_stats', role => 'harbour_stats', legal_name => 'Harbour Statistics Office',
       contract => 'DPA-1912-01', purposes => '{harbour statistics}');
SELECT airlock.create_subprocessor('insurer', role => 'insurer', legal_name => 'North Atlantic Marine Insurance Ltd.',
       contract => 'DPA-1912-02', purposes => '{claims, underwriting}');
\echo What a scope would expose, before it does:
SELECT * FROM airlock.preview_scope('insurer', 'passengers', '{"id": "clear", "name": "clear", "fare": "clear",
       "born": {"mask": "date_trunc", "unit": "year"}, "embarked": {"mask": "partial", "left": 2}}', subject => '{id}');
\echo Two scopes over the same table: the insurer is shown names and fares in clear, for every passenger,
SELECT airlock.create_scope('insurer', 'passengers', '{"id": "clear", "name": "clear", "fare": "clear",
       "born": {"mask": "date_trunc", "unit": "year"}, "embarked": {"mask": "partial", "left": 2}}', subject => '{id}');
\echo the statistics office gets neither, and only passengers who consented; name has no rule, so it is absent.
SELECT airlock.create_scope('harbour_stats', 'passengers', '{"id": {"mask": "pseudonym"}, "born": {"mask": "age_band", "year": 1912},
       "sex": "clear", "class": "clear", "fare": {"mask": "bucket", "step": 10}, "embarked": {"mask": "initials"}, "survived": "clear"}',
       row_filter => 'consent');
