--
-- PostgreSQL database dump
--

\restrict GBgwQK3eTUb2UuFiFnoKpzaFcTZZ4RDm5kPRvqhrNOsW31S4pveqAPQhd7mZL7A

-- Dumped from database version 15.20 (Debian 15.20-0+deb12u1)
-- Dumped by pg_dump version 15.20 (Debian 15.20-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: acme; Type: SCHEMA; Schema: -; Owner: airlock_view_owner
--

CREATE SCHEMA acme;


ALTER SCHEMA acme OWNER TO airlock_view_owner;

--
-- Name: airlock; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA airlock;


ALTER SCHEMA airlock OWNER TO postgres;

--
-- Name: pg_airlock; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS pg_airlock WITH SCHEMA airlock;


--
-- Name: EXTENSION pg_airlock; Type: COMMENT; Schema: -; Owner: 
--

COMMENT ON EXTENSION pg_airlock IS 'scoped encrypted views for sub-processors, with a durable read log';


--
-- Name: globex; Type: SCHEMA; Schema: -; Owner: airlock_view_owner
--

CREATE SCHEMA globex;


ALTER SCHEMA globex OWNER TO airlock_view_owner;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: customers; Type: TABLE; Schema: public; Owner: app
--

CREATE TABLE public.customers (
    id bigint NOT NULL,
    country text,
    city text,
    email text,
    phone text,
    born date,
    note text,
    consent boolean NOT NULL,
    ssn airlock.encrypted_eq(1265006937),
    pay airlock.encrypted(906339732),
    diary airlock.encrypted(289201346)
);


ALTER TABLE public.customers OWNER TO app;

--
-- Name: s2; Type: VIEW; Schema: airlock_scope; Owner: airlock_view_owner
--

CREATE VIEW airlock_scope.s2 WITH (security_barrier='true') AS
 SELECT customers.id,
    customers.country,
    customers.city,
    customers.email,
    customers.phone,
    customers.born,
    customers.ssn,
    customers.pay
   FROM public.customers
  WHERE (airlock.gate(2) AND customers.consent);


ALTER TABLE airlock_scope.s2 OWNER TO airlock_view_owner;

--
-- Name: customers; Type: VIEW; Schema: acme; Owner: airlock_view_owner
--

CREATE VIEW acme.customers WITH (security_barrier='true') AS
 SELECT s2.id,
    s2.country,
    s2.city,
    airlock.disclose(7, s2.email) AS email,
    airlock.mask_partial(s2.phone, 0, 2, '*'::text, 4) AS phone,
    airlock.mask_date_trunc(s2.born, 'year'::text) AS born,
    airlock.disclose(10, s2.ssn) AS ssn,
    airlock.disclose(11, s2.pay, NULL::numeric) AS pay
   FROM airlock_scope.s2;


ALTER TABLE acme.customers OWNER TO airlock_view_owner;

--
-- Name: s1; Type: VIEW; Schema: airlock_scope; Owner: airlock_view_owner
--

CREATE VIEW airlock_scope.s1 WITH (security_barrier='true') AS
 SELECT customers.id,
    customers.country,
    customers.email
   FROM public.customers
  WHERE (airlock.gate(1) AND customers.consent);


ALTER TABLE airlock_scope.s1 OWNER TO airlock_view_owner;

--
-- Name: customers; Type: VIEW; Schema: globex; Owner: airlock_view_owner
--

CREATE VIEW globex.customers WITH (security_barrier='true') AS
 SELECT airlock.disclose(1, s1.id) AS id,
    s1.country,
    airlock.disclose(3, s1.email) AS email
   FROM airlock_scope.s1;


ALTER TABLE globex.customers OWNER TO airlock_view_owner;

--
-- Name: consents; Type: TABLE; Schema: public; Owner: app
--

CREATE TABLE public.consents (
    customer bigint NOT NULL,
    given boolean NOT NULL
);


ALTER TABLE public.consents OWNER TO app;

--
-- Data for Name: key; Type: TABLE DATA; Schema: airlock_catalog; Owner: postgres
--

COPY airlock_catalog.key (key_no, uuid, name, plaintext_type, pad, created_at) FROM stdin;
1253515691	e00da1a7-0629-4d88-a4f8-50b0b25cf7dd	pii	text	16	2026-11-25 21:22:17.615308+00
2101153811	67d9252f-42f3-45e2-9c72-190b4e8d838b	money	numeric	16	2026-11-25 21:22:17.615308+00
\.


--
-- Data for Name: encrypted_column; Type: TABLE DATA; Schema: airlock_catalog; Owner: postgres
--

COPY airlock_catalog.encrypted_column (column_no, uuid, key_no, mac, created_at) FROM stdin;
1265006937	15e3971e-4742-4c25-a49c-7dd7d1c60a5b	1253515691	\\x2fe441f9dc57603252c960a6ae9c16b4b950782afee1e827150898f2089177b2	2026-11-25 21:22:17.615308+00
906339732	8376ad88-a7f9-4eff-b6e1-60e441c29b6f	2101153811	\\x0c25e66453a547e48962bc7e73b5230e251622c66c2ff290f5e1e771bd9b6133	2026-11-25 21:22:17.615308+00
289201346	a2e7c69b-1084-4938-8f2e-b8d4eaaf0082	1253515691	\\x343a6c5154f078bad51ad7ffbf56c1d7417e1aaa1678f51bffe25e7d54ab7840	2026-11-25 21:22:17.615308+00
\.


--
-- Data for Name: key_grant; Type: TABLE DATA; Schema: airlock_catalog; Owner: postgres
--

COPY airlock_catalog.key_grant (key_no, role, access, mac) FROM stdin;
1253515691	app	decrypt	\\x82347c1dbb17394646f6eb2144089350b08a111af7e2601a1d28679fbfbf0662
2101153811	app	decrypt	\\x116502cc89e925172af6cf08be6f43216f5cbff7a47273af89c978d25def160c
\.


--
-- Data for Name: root_key; Type: TABLE DATA; Schema: airlock_catalog; Owner: postgres
--

COPY airlock_catalog.root_key (generation, check_value, created_at) FROM stdin;
1	\\xc3b20b3757253f7419712bee5ab52224	2026-11-25 21:22:17.615308+00
\.


--
-- Data for Name: key_version; Type: TABLE DATA; Schema: airlock_catalog; Owner: postgres
--

COPY airlock_catalog.key_version (version_id, owner, use, version, wrapped, root_generation, commitment, state, activated_at, retired_at) FROM stdin;
230996424	70675f61-6972-6c6f-636b-2f6c6f672f31	log	1	\\x0128eaf06eb4c6ed6f770ef0048ca2e4939745a02ee5c5cc95af921f4c8aebd4dccb7b6e817322e9572a16d290676402c6928076b4b72f8088921b61d6560d27710579e3fb5349e652	1	\\x0be3781a4cc3fca957ff9cf20d163d31656c3ee74e85e68325ada50d1167a6db	active	2026-11-25 21:22:17.615308+00	\N
840723348	e00da1a7-0629-4d88-a4f8-50b0b25cf7dd	seal	1	\\x01b766f6e19130f70dd01a7ba27c1a28c6f5eff814aa408c188a5126421716b241cfbfa647a26112ba838fe3b00501bc2e9972a0d05377cc760ab680ab64527333b33e4f57737cd01c	1	\\x3e840762910b26df446a65773c6dc91c037d730d696015254174ccb24ba1a4ec	active	2026-11-25 21:22:17.615308+00	\N
119672622	e00da1a7-0629-4d88-a4f8-50b0b25cf7dd	match	1	\\x0173d833c601e63d4566650d274f755e3b5309d4395b206bc6c163a3a0e4620703e2841ea82161106748ae97a1ad937d234817d86532f73e72fdb93789933890f25f15eec1f1dc8d28	1	\\xcee8409b66d36e04e416d09185f70e021aef4e39a7a98be25ad0ed11cc64b870	active	2026-11-25 21:22:17.615308+00	\N
1862336085	67d9252f-42f3-45e2-9c72-190b4e8d838b	seal	1	\\x01012e702d66d8346881710a1a986b8b72b8b24add6fa9e155a8f19751d0adb5c42c5220958cff39ec9652d925e2b34b9779945602c00f91d26ab0b608d18d7f5511291a107242693d	1	\\x439896a66cd30884c97a5be5953918684f9ab9c7360e88b171d9c6a1364d21c3	active	2026-11-25 21:22:17.615308+00	\N
549216646	67d9252f-42f3-45e2-9c72-190b4e8d838b	match	1	\\x016fe202d5940d6c59cccc43ea89f5ddf47d13d2532adb279a1ef3cbf02d764deb8c7fa1e4b4b5e7abffbe731d7a58e59ed8c4329d0316a78b2232377cd922fc37b9e7994517193aea	1	\\xcb3951966f01f1774a169dfcc5c34c013b9700586ca4ff0f4e780920993f93d9	active	2026-11-25 21:22:17.615308+00	\N
792466498	96fccf10-483d-4375-8923-6fabd01e4c9e	mask	1	\\x01890066f13ed0d972c093095d2642dfab483594e0b404d86edde7dc05d7dc230cf1375ac4bf7afe04fa349dba1cee181ea691759903536ff08011ee60223dd79e4ac66992b4294b74	1	\\x704930650691a1479c8e2e1987592199ab67034aa1171df5d0018e53814ae90a	active	2026-11-25 21:22:17.737695+00	\N
1435736894	a96349b6-ac58-4423-abc2-4b322e5d1920	mask	1	\\x01f0550d28b5f0b1376d0afcfe574232a097f42c81bbd70b654b4f95a7dcf62ff12afa6e3d347cdedf723f2e843a0da872c49efa655530c45a5253a98eba314ce952257e2d25e672b6	1	\\x7dba1daecfa9c1f7285fb97c74e23b65926e3787e5d919951b4b313e1d9e315a	active	2026-11-25 21:22:17.737695+00	\N
\.


--
-- Data for Name: read_record; Type: TABLE DATA; Schema: airlock_catalog; Owner: postgres
--

COPY airlock_catalog.read_record (id, kind, logged_at, backend_start, backend_pid, statement_no, subprocessor, contract, login_role, session_role, acting_role, client_addr, tls, application_name, database, views, columns, purpose, statement, outcome, sqlstate, rows_sent, bytes_sent, duration_us, detail, hash) FROM stdin;
1	configuration	2026-11-25 21:22:18.170444+00	2026-11-25 21:22:18.158399+00	19998	1			postgres	postgres	postgres	\N	\N	pg_airlock materialiser	app	{}	{}	\N		\N	\N	\N	\N	\N	log begins in system 7712222535356521986 on timeline 1	\\x647b6cf9370b49e51ff10ac8258e044169f15ac6f9114fb49a96ac518765d52b
2	intent	2026-11-25 21:22:18.193158+00	2026-11-25 21:22:18.189732+00	20002	1	globex	DPA-2	globex	globex	globex	\N	\N	first	app	{globex.customers}	{}	support	SELECT FROM globex.customers LIMIT ?	\N	\N	\N	\N	\N	\N	\\xb46e85f4ff87d0b36cca286ed1f1ce9426efec3b8dfeb41edccac6bf1e993996
3	outcome	2026-11-25 21:22:18.194133+00	2026-11-25 21:22:18.189732+00	20002	1	globex	DPA-2	globex	globex	globex	\N	\N	first	app	{}	{}	support		ok	\N	0	\N	975	\N	\\x1bba034ae5c2cb2aebf801ebe990cdd4d64c1cfa344f1e354015ec244ffcdbe7
4	intent	2026-11-25 21:22:18.198582+00	2026-11-25 21:22:18.195197+00	20003	1	acme	DPA-1	acme	acme	acme	\N	\N		app	{acme.customers}	{acme.customers.id,acme.customers.country,acme.customers.city,acme.customers.email,acme.customers.phone,acme.customers.born,acme.customers.ssn,acme.customers.pay}	product analytics	SELECT * FROM acme.customers ORDER BY id	\N	\N	\N	\N	\N	\N	\\xa691343705465467070553a0ab401f80d9a740b5a4a6d071f0bb2a6cbadb02b4
5	outcome	2026-11-25 21:22:18.210577+00	2026-11-25 21:22:18.195197+00	20003	1	acme	DPA-1	acme	acme	acme	\N	\N		app	{}	{}	product analytics		ok	\N	90	\N	11995	\N	\\xf15bef9a6f396656b7f373a87259985c7c314edbe0a9f7109a7ad3ed8bd1e9fb
6	intent	2026-11-25 21:22:18.215391+00	2026-11-25 21:22:18.211915+00	20004	1	globex	DPA-2	globex	globex	globex	\N	\N		app	{globex.customers}	{globex.customers.id,globex.customers.country,globex.customers.email}	support	SELECT * FROM globex.customers ORDER BY id	\N	\N	\N	\N	\N	\N	\\x0a60f65830a715c03abd50e317684980715baebcb1a67b7cec79e28e2757e630
7	outcome	2026-11-25 21:22:18.218792+00	2026-11-25 21:22:18.211915+00	20004	1	globex	DPA-2	globex	globex	globex	\N	\N		app	{}	{}	support		ok	\N	90	\N	3401	\N	\\xdfa62d8da35c4ef75873be160cfc6d8b5dfd197a94ce5ce9318a4c7bdc53e573
\.


--
-- Data for Name: subprocessor; Type: TABLE DATA; Schema: airlock_catalog; Owner: postgres
--

COPY airlock_catalog.subprocessor (id, uuid, name, role, legal_name, contract, purposes, valid_until, networks, require_tls, details, state, state_reason, state_since, created_at, created_by) FROM stdin;
1	96fccf10-483d-4375-8923-6fabd01e4c9e	acme	acme	Acme Analytics GmbH	DPA-1	{"product analytics"}	\N	{}	t	{}	active	\N	2026-11-25 21:22:17.737695+00	2026-11-25 21:22:17.737695+00	postgres
2	a96349b6-ac58-4423-abc2-4b322e5d1920	globex	globex	Globex Corp.	DPA-2	{support}	\N	{}	t	{}	active	\N	2026-11-25 21:22:17.737695+00	2026-11-25 21:22:17.737695+00	postgres
\.


--
-- Data for Name: scope; Type: TABLE DATA; Schema: airlock_catalog; Owner: postgres
--

COPY airlock_catalog.scope (id, subprocessor, relation, view, inner_view, definition, row_filter, subject, purposes, fingerprint, created_at, created_by, dropped_at, dropped_by) FROM stdin;
1	2	public.customers	globex.customers	airlock_scope.s1	{"id": {"mask": "pseudonym"}, "email": {"mask": "pseudonym"}, "country": "clear"}	consent	{}	{}	dbec35659dd9cae91c24bed30383fa524f51b266a8b32aa09267729512da5f1d	2026-11-25 21:22:17.737695+00	postgres	\N	\N
2	1	public.customers	acme.customers	airlock_scope.s2	{"id": "clear", "pay": "clear", "ssn": {"mask": "partial", "right": 4}, "born": {"mask": "date_trunc", "unit": "year"}, "city": "clear", "email": {"mask": "pseudonym"}, "phone": {"mask": "partial", "right": 2}, "country": "clear"}	consent	{id}	{}	c66b3481fbb43036bee6394b6f02b4a45f80bc37a8bcd11aac9a3cb1723018a2	2026-11-25 21:22:17.758999+00	postgres	\N	\N
\.


--
-- Data for Name: rule; Type: TABLE DATA; Schema: airlock_catalog; Owner: postgres
--

COPY airlock_catalog.rule (id, scope, ordinal, column_name, mask, plain_type, encrypted, domain, mask_key_version, result_type, since, until) FROM stdin;
1	1	1	id	{"fold": false, "mask": "pseudonym", "length": 26}	bigint	f	public.customers.id	1	text	2026-11-25 21:22:17.737695+00	\N
2	1	2	country	\N	text	f	\N	\N	text	2026-11-25 21:22:17.737695+00	\N
3	1	3	email	{"fold": false, "mask": "pseudonym", "length": 26}	text	f	public.customers.email	1	text	2026-11-25 21:22:17.737695+00	\N
4	2	1	id	\N	bigint	f	\N	\N	bigint	2026-11-25 21:22:17.758999+00	\N
5	2	2	country	\N	text	f	\N	\N	text	2026-11-25 21:22:17.758999+00	\N
6	2	3	city	\N	text	f	\N	\N	text	2026-11-25 21:22:17.758999+00	\N
7	2	4	email	{"fold": false, "mask": "pseudonym", "length": 26}	text	f	public.customers.email	1	text	2026-11-25 21:22:17.758999+00	\N
8	2	5	phone	{"fill": "*", "left": 0, "mask": "partial", "right": 2, "min_hidden": 4}	text	f	\N	\N	text	2026-11-25 21:22:17.758999+00	\N
9	2	6	born	{"mask": "date_trunc", "unit": "year"}	date	f	\N	\N	date	2026-11-25 21:22:17.758999+00	\N
10	2	7	ssn	{"fill": "*", "left": 0, "mask": "partial", "right": 4, "min_hidden": 4}	text	t	\N	\N	text	2026-11-25 21:22:17.758999+00	\N
11	2	8	pay	\N	numeric	t	\N	\N	numeric	2026-11-25 21:22:17.758999+00	\N
\.


--
-- Data for Name: consents; Type: TABLE DATA; Schema: public; Owner: app
--

COPY public.consents (customer, given) FROM stdin;
1	t
2	t
3	t
4	t
5	t
6	t
7	t
8	t
9	t
10	f
11	t
12	t
13	t
14	t
15	t
16	t
17	t
18	t
19	t
20	f
21	t
22	t
23	t
24	t
25	t
26	t
27	t
28	t
29	t
30	f
31	t
32	t
33	t
34	t
35	t
36	t
37	t
38	t
39	t
40	f
41	t
42	t
43	t
44	t
45	t
46	t
47	t
48	t
49	t
50	f
51	t
52	t
53	t
54	t
55	t
56	t
57	t
58	t
59	t
60	f
61	t
62	t
63	t
64	t
65	t
66	t
67	t
68	t
69	t
70	f
71	t
72	t
73	t
74	t
75	t
76	t
77	t
78	t
79	t
80	f
81	t
82	t
83	t
84	t
85	t
86	t
87	t
88	t
89	t
90	f
91	t
92	t
93	t
94	t
95	t
96	t
97	t
98	t
99	t
100	f
\.


--
-- Data for Name: customers; Type: TABLE DATA; Schema: public; Owner: app
--

COPY public.customers (id, country, city, email, phone, born, note, consent, ssn, pay, diary) FROM stdin;
1	SE	Lund	CANARYMASK_p1@example.com	CANARYMASK_p0001	1950-09-23	CANARYCOL_p	t	airlock:1:4QkyHGuU+SBK8F9S/ywIPtRnjBoU9sk8XinGUnHlIrz+nYlOyubuuzrYjSpn1W9FjPipieRMN+nnwS44Cwz8ta629JNcqKsZEQG7acI/m7Y/3l13Wrw=	airlock:1:4QhvAP5VtelvDkIoBCnBnZQq5fP+tE7ab25DAGHr19leN4svi2ZKmZUqIJVCVUI8YYUGaKFfnLj5hkRbhms=	airlock:1:4QgyHGuUeW7Yo1Bsb6lWBchpB8Hsmvw6HGanTbboD2zhYxA17dsdsfHvxKY2PlVmrnj9naRN6F7lT2dqJ0I=
2	DK	Bergen	CANARYMASK_p2@example.com	CANARYMASK_p0002	1951-01-01	CANARYCOL_p	t	airlock:1:4QkyHGuUva3ysSefMt5DbSwKHmKZ7deQgEtUxkabxSwdFHezHOGwJjmZuQig/JEPEsyv8gup5pRLdeRb3H2EUf+tIn4sH7DFdB19HcOmJTAswSdO8+w=	airlock:1:4QhvAP5V5aqo82xCsdSZ2p8STeu4X+SuOwiL9AH8DCDn9bXWv4DMmPlpIQc0VAFChkXo8mF2AHVRhI4A2aI=	airlock:1:4QgyHGuUzz9+wIvd9tiJP6MLysj+O6Nz/BHRIotZcr8iLkAu3lr8Rssw6IMPPdO5v/eSO6I76+Jfi/gmPsU=
3	NO	Oslo	CANARYMASK_p3@example.com	CANARYMASK_p0003	1951-04-11	CANARYCOL_p	t	airlock:1:4QkyHGuUqKFg4UBY/WUu6OTZ5TQe1QWD7DZzVmKaI+YSH6/aTILZ+knjGJraH47WTFuEMxboe6DECoWjYKabuwYV/ORXCZQ48t2aE8uWOI6aLCix3+w=	airlock:1:4QhvAP5VVPaPCsTCLfBXu0a7s6ThsBKI/qALTaUXvjoM+ps+1Yy6SY8FC9zTzVvdzL3eoCv6PMbv6LsVX6c=	airlock:1:4QgyHGuUzDs4RG4Kt4NhLYjGTtvuKlMPmXpktW3DjrBKZnqd68Jhi1NNAKVGAUMszFc4QDJN4SZuRT+OlnU=
4	SE	Lund	CANARYMASK_p4@example.com	CANARYMASK_p0004	1951-07-20	CANARYCOL_p	t	airlock:1:4QkyHGuUsh4b5UNJ+bgp4P6ghJI7ufUC+8mTRUzqq3iGXIDwg8G9JcjEOf8P9xyt//7fKJT00/PuvESRo/aE7TKEJsUDfeCJImb69FwEsRa6V2v1z88=	airlock:1:4QhvAP5VnhePieakDAk7UhfPXo3CaQcO/scBlhdcrVUKjngOP6oaHkavNqT+ZXfIMfa1dRjsv82yst0KRHo=	airlock:1:4QgyHGuU56hI8AN6DH4XHI3NlMjGhyy5u8fgqacRgulKT1qeioVbsIBje7lZoaV58/DRl/VtfW0kcvOiyTQ=
5	DK	Bergen	CANARYMASK_p5@example.com	CANARYMASK_p0005	1951-10-28	CANARYCOL_p	t	airlock:1:4QkyHGuUde6hOups0VFGH9z1nr+SBKqPzngcDHTNJUwJEjY7O+CIuF0eTEmxvZiWmZVvOCxqexSRIcsSUceJBvcTN1+XMUj6ct1Cr/GpSqc3y1q32qA=	airlock:1:4QhvAP5VrD99ApD/xX0cVVxsG28T9PWbj0QWADDF0v34oxxnoFDa4wTpQ05+zGYqmK2XmQSBt0JVcUEyHug=	airlock:1:4QgyHGuUn0s+QC3JHWWP21dwlxrutmY3on5xOv1eG4xQmXPWMJrqsaeC0iv3udBCnGY5wK+bAWN0sZdtQ64=
6	NO	Oslo	CANARYMASK_p6@example.com	CANARYMASK_p0006	1952-02-05	CANARYCOL_p	t	airlock:1:4QkyHGuUynd7XaScGdIORyqKaTt+ZRI2IN/CW4o5GD/RyQS5K8OtPI3VYF9zf9UUN3ZBArxJrpbtpo2Xf+OQBdx6C+ywl2/FoKMt5jCWMOSahUdA6jk=	airlock:1:4QhvAP5VmRSdhNnMwkWnsyo2Dto8NpLYdJT1QFPiMOOsXHEzgpr8TkfJgCH9ldr9TXgyiuSUjAUdgcmiuPw=	airlock:1:4QgyHGuUJzUqByjaYqJWoUGrxcb/t93WQsdYdDnmVnxqQkPK071GSfcFjg7DwldwzHqNgeuAn0HN5PcuqKc=
7	SE	Lund	CANARYMASK_p7@example.com	CANARYMASK_p0007	1952-05-15	CANARYCOL_p	t	airlock:1:4QkyHGuUZiZXVujBn5+H/kenpEPTN7xzRirR09YHqxHyUxr/YPbdbaC4cl6ggOcIHxlf+kTrqAOcecrw+EEiy5QLGubKoqyrNswJXoKAa5mv0UIhCJI=	airlock:1:4QhvAP5VsD7CMWisxqR47i7eOwq8meJ+sGi+gYel9aOnKytBPty+ZeKYlDfJLogAKyQf/of6LPVSJsTAdAk=	airlock:1:4QgyHGuUZWCr9Ff4av1OZNV/difxe0EiuEnNQA/FC3Lk//5Uxh9l5HHN+3LfgFjd2kA0AmAPcYTHmtia4ok=
8	DK	Bergen	CANARYMASK_p8@example.com	CANARYMASK_p0008	1952-08-23	CANARYCOL_p	t	airlock:1:4QkyHGuUGgfb6czKpfCWbS8zZDK2gK2PjCHpnXgU/EVTa1SjV+NBivtU0cD9iO5Az3M+GtB4nCeAQN2/G63BAerfCBn49d7eqpkIfikYXc4F9LHXRB4=	airlock:1:4QhvAP5Va4sYdaK6neHsmQKjJuhM0iwPLyoAsA96CeVUfpnojwtb2MeD1X8D0BF/IV6zRYiJqOUrSxki9gw=	airlock:1:4QgyHGuUlnVj4A05yuGZwcPmg2WNzpOcYdJJ/gbZgHZxt5W+I6R9S+kzPOhz+Ls7I7dfiiJNu6VKefZrNhk=
9	NO	Oslo	CANARYMASK_p9@example.com	CANARYMASK_p0009	1952-12-01	CANARYCOL_p	t	airlock:1:4QkyHGuUspe/uxI5hkJR9WbLqiUG/we+rXQJmBex+VM/GKhW84IFERiGAHJXS/d/1/KqSkadIv/w4xjIzg3O/bJdL5bNh7L6d33Jd9XHFGSBQ9mRYIE=	airlock:1:4QhvAP5V391oGsB5rBNVXvdDTqEqkjUHYnAvRo0XQwsEoRN5yUWO3StOpR/xGf4QCmOHw3uAxOKiHgyeBCM=	airlock:1:4QgyHGuUIZd5LQ4UOnu9UtEhfuzU5jzkTlviaTe/sOr52DcGr174q8gN/kM76huCBzRtfZUK4Z0lYbccUxw=
10	CANARYROW_p	CANARYROW_p	CANARYROW_p10@example.com	CANARYROW_p0010	1953-03-11	CANARYCOL_p	f	airlock:1:4QkyHGuUIpv8xfep6v8FXfko/bVRLlnYTs2hZ7HNogCr4CRi960f/mZ0NPsP4inDtR7kaKA5PHOsOE25uvwUiMkH98QvGw==	airlock:1:4QhvAP5VeBygfultWo8LbXVpwlRYUTwZBwHnR5IsyTwZpwQ+ZGfnz5k2gQnfSnPNvYulSeHMVF0aq/8KtxE=	airlock:1:4QgyHGuUuMiBBFF1rr7R10py3629CaA0DwVt8OrhneQ5wtIerFdiMBfB6R2TAXrookb6xfMS+gFuxXxmkSg=
11	DK	Bergen	CANARYMASK_p11@example.com	CANARYMASK_p0011	1953-06-19	CANARYCOL_p	t	airlock:1:4QkyHGuUGZmZDeMfiQ4IXgc5C3CyIMtQ2zokCPWdg45qMidOewp2oc8SFBuo6mGXkMKWHHsrC0egOcniHQzs8/f1cJvKQ89KMYqutB9zdCUPXu2tDZQ=	airlock:1:4QhvAP5V5/MFPKOsfzkOZiq8+L0uP3TUK97HU6MuGV6n+rEH1wSHbJJOvVONAPoJ5ZyQiN0Xib36hSvfuWQ=	airlock:1:4QgyHGuUvrJ4H3mE0z6mUyWE3OydosYMzZ+RqSqQk4PioJsQrhu1jtB7uxaEMXGVMLRrk0AL2WCBpFJcQdg=
12	NO	Oslo	CANARYMASK_p12@example.com	CANARYMASK_p0012	1953-09-27	CANARYCOL_p	t	airlock:1:4QkyHGuUB8C154naqByu6J1XQX6YYkWkpohnfmpyNMyCUZARmEfLotQ1mbPOLjF1gLlrBXirqg6+W8AQqtJ3kozQ/1Zw7+L+/VVlhLc5au6+/zU+D1E=	airlock:1:4QhvAP5V1h9+W4y8wt3vrYSi3VnoDSBTsuZHQMgJhIckEqxQD08bXvA2+I66gh426APnuhbo1r88u1Qp59w=	airlock:1:4QgyHGuUwjUE2L+f7BSkDfFNsbi3pIbSHY8t1zXHetjEZqDk5iNLv2E3GiOIhGHDwLZ2g00BvsnXYJY3SZ8=
13	SE	Lund	CANARYMASK_p13@example.com	CANARYMASK_p0013	1954-01-05	CANARYCOL_p	t	airlock:1:4QkyHGuUEfsVasCiMzXNRlFkZJTSha6ar9mklkGjUh8FcGa54sAM86FYSJUaT8x3/XvFwrNCt3nx2eOuqAdRUTq1zOlqd5Ts/vZy6u6NBwIEBFrjezg=	airlock:1:4QhvAP5VxW+yq3l0fBQpYJ3XsDx+KPxbb/EWo40RIxXMr/8vq6YyFes2AxSTAaxmAIxf55rPTKePtHaDxN0=	airlock:1:4QgyHGuUZbD8z73oKWcdO3Ud4alym0WqE1fkCuS/QJ9nZDUztaBp7e2WNO8BG18LSgf41D10hm8hyhJ4gak=
14	DK	Bergen	CANARYMASK_p14@example.com	CANARYMASK_p0014	1954-04-15	CANARYCOL_p	t	airlock:1:4QkyHGuUae2HL6EgWkJz0+P+ebY+O7z5LtMRhWes/Awb9z7pGbYquK1l8Hqgz4qnaRlpY7g4MxhaF2K5rokzSILvim7v8ppmQV+Qbvot5WwNq17FLeQ=	airlock:1:4QhvAP5V0lUdjBJU/Ppw+hZqQPo64oQ6oR3KbWU4zer0SNN+pbS4zbmP1klDVFsM8V9kMhMe6MFHSboSB1s=	airlock:1:4QgyHGuUwXeC/9mpyFEgmiJNuT/qKaD6g8UZRaZ9J92m3CA0ZoLhRUegdvyCXQHarw0vFKE1111An1bsGbw=
15	NO	Oslo	CANARYMASK_p15@example.com	CANARYMASK_p0015	1954-07-24	CANARYCOL_p	t	airlock:1:4QkyHGuUIJhIZ7uh1dZJMLTnQDAhaLeJhlT5TFjqxnxZe45uKYgUdJ1pc5k+Bu7ui/dEp2AJR43h7Y2nEWLe8PDAhw4+t8pfZfztTqNoOKFK4oQXsIQ=	airlock:1:4QhvAP5VFwO5MhLficu7oYZI7Oa4r245/IPUr5mCAGM4D2iR6mXAGEJNIGsl6+pAQMJfpPvMFX5V9mpAsI0=	airlock:1:4QgyHGuUkWV8Fh21LuH2OwNvZUUJJbL8v8j0peQW9RZHcp3lA5sI6E7Ngxgcf9KAq/0zla6J/ppxCKxErzE=
16	SE	Lund	CANARYMASK_p16@example.com	CANARYMASK_p0016	1954-11-01	CANARYCOL_p	t	airlock:1:4QkyHGuU2/0T8uJg+ommwYgGqisAeEsQonMtns8toRVsP+JPxkqGWoKIf5LvstDyglY4MvixGToUZbQJrK4z39mMQh3Vvr+kzRDbfTz6A6Yut8MQTxs=	airlock:1:4QhvAP5V5DRakc+Fq5IiSCgH8H1/vF9vZFYkuzbta6LwmqHNVG2Chj5obnD3RtYJAmtYi4y2XWmFcVJh3V4=	airlock:1:4QgyHGuUtjFeQc11yuOVBmeSdqhc2BSPwblIDckkZbBMzFai9iV95g3FuDwd/eFljekMC5agRBsh9XZ6QJI=
17	DK	Bergen	CANARYMASK_p17@example.com	CANARYMASK_p0017	1955-02-09	CANARYCOL_p	t	airlock:1:4QkyHGuUpSZBji0jbslGHvevam6I6X7eL+tID0+DpqdmdE67fvNfed/d1IyCLO81UL/rDAnv35pJbXE5iTTHoz6lRqR1ebGrQ28UtjCJh0r1k3JYIi8=	airlock:1:4QhvAP5VFPGaNhZlV8xt9piNujU1AttNV/8j1qS5iChZubMtiOzg5GyxTEAJHRXpRGQT1rSybR0FwFrTIb0=	airlock:1:4QgyHGuUcQPW1ay+ij43duJiXISm3VNbXfQFiqXcNcOPYC9PWbZPk63UViArkbosKjSApdgkGwr7i7fEG8s=
18	NO	Oslo	CANARYMASK_p18@example.com	CANARYMASK_p0018	1955-05-20	CANARYCOL_p	t	airlock:1:4QkyHGuUh8vPZtLzszA0aKUc4KFieXCMqNK5dMnV3vFZM0npL/mLhA/pV0kLZmbx0L6+74az0fgRDvl/OCTpbykqZ5fmsOVcx/u9/uoB6tXFsNp6ZA4=	airlock:1:4QhvAP5VuNHcob9RUKNCRJPiO2gBKHEvViFAXRXJy7vBWCq+XlNUIKKvVOO8ti0A8qKnA5G9IANt3Ja+jpA=	airlock:1:4QgyHGuUj1ehiwg1LLrL3J+WmFtbyNXZhfoYh3AYsSvm2woyJexY+n0TYWmVwJGKTLBXw7cRJiLjidAFaUQ=
19	SE	Lund	CANARYMASK_p19@example.com	CANARYMASK_p0019	1955-08-28	CANARYCOL_p	t	airlock:1:4QkyHGuUBaJOJMWD+lA1KrAGseGf38RROgBjyLG7CVF4d34kpn4x3k35ZeYnIPiP0NghrgTPVvSijqlQxVdK8xiCt9e5VI67GFwuOTfhiJnU3OJPRk4=	airlock:1:4QhvAP5V3SdRuB4GjIBHKyaj0cyeFCJZN2pe5TNoNju44o2IChTUKkFMQPfs0xoFnprkInntN/35CK5Amfc=	airlock:1:4QgyHGuU3J08J0H/AEsmgZ30toWR4hI8Abkyr68VTfoo+IMEbfGEx6c69JVa5jGJBKL/GW7SkeDWsRPPZYo=
20	CANARYROW_p	CANARYROW_p	CANARYROW_p20@example.com	CANARYROW_p0020	1955-12-06	CANARYCOL_p	f	airlock:1:4QkyHGuUuBGYLnq0BrBboGg0yXDncvivNNjEnlXKeXd+igoGVSWaCEFopRNTvH8om8Wiw2sMh7PDK4+ygkS/BtlWakivcg==	airlock:1:4QhvAP5VWe7gRqR3Rolpm84rwiuqX7cYcVkYG9JX61HHRQ8qlevj/vdHG3bfunBIT3G1l/sAOuJ5ktQ/dUA=	airlock:1:4QgyHGuUXjMEv+/VtV/BCwM7GNvLJffXPB7sAXw5XotlRjkz0AbxCqQVpVWiNI/mYjD8FixWh+RuxfaFH1s=
21	NO	Oslo	CANARYMASK_p21@example.com	CANARYMASK_p0021	1956-03-15	CANARYCOL_p	t	airlock:1:4QkyHGuUMQhUFQTJNGFfRUfmwMVSVXbvevo7msUjCa9oPwCvLZlxrCdc1WlrDEdLm5zMZsT7SjK0jvrsEBJdIu7Gu3MWDaU7B5gcBkPF22eCs3JqELU=	airlock:1:4QhvAP5VdH6rcSkPGCpdUCDdcKCGazK4H1aGbbXxUZey3qOryJpTtT+6XrKVodTmKlg65qPrdNXQ3L8wU0o=	airlock:1:4QgyHGuUTWMwE9Gc8CPO2JvK7Fra1NPIV4m0TrjkaqGcNmNFGz5vgRFtcGmdW1IJQoiJd0zVXYByO3BsOrQ=
22	SE	Lund	CANARYMASK_p22@example.com	CANARYMASK_p0022	1956-06-23	CANARYCOL_p	t	airlock:1:4QkyHGuUvfUzzvTscEoQ0xQeQHPFO/1NgrvgprHwQU55rf1MB+OJCWBrt+oky2LTqvG+P9UJWI+b/J5c6+leCQUPpcBESEXVVPJO1HZ3ch8iTsfuM/A=	airlock:1:4QhvAP5VzhglFZGLYaSXzCKAI/gTOCJqrMQjC+PMlE7mkgIW+JiBjhcvy/dq9pk5x5dlkIue6vq+BM47vjE=	airlock:1:4QgyHGuUfGF3pAu7o1y0724Oqg+JnqnbfIvVydge5lQAGo8vZ335eetzhJ9+dgsTkphbd2xSuPo4CbhO5WQ=
23	DK	Bergen	CANARYMASK_p23@example.com	CANARYMASK_p0023	1956-10-01	CANARYCOL_p	t	airlock:1:4QkyHGuUme34DkTkl+TeRQXMq8TM76Z1wJMGpJMFmWMVhkmY9svYfX3EzKCQ/2l6mr9824HVSAdVqBiR4Hh89Hd0qUBEtb+TBf2yFr4SL4w3Tn5Y8p4=	airlock:1:4QhvAP5VNkUWfIh+oA9BcQB+xlKnBRUhMP8SIxExYJh7YY4dr8YXFMro0CCIVtdP2+oOaJJEBnvTZzU3B4s=	airlock:1:4QgyHGuUGFW32VwF6p6CgEk3yAUwlLyEpmdRUKhIacjBAA097EOZ2yJhi5pvvW+Q+zCxcVsqIp5AZeu3IUY=
24	NO	Oslo	CANARYMASK_p24@example.com	CANARYMASK_p0024	1957-01-09	CANARYCOL_p	t	airlock:1:4QkyHGuUAyubH7O67MpInh8JVf7VmaHEaNjvCloMXnVJvWYbSg2GvmVGTbOeMsmzNijXfq+JRTRY+fn7dAmMjCtI/EuCU38t0AhbP6w2X13ZZBjve+k=	airlock:1:4QhvAP5V2tqR4uzZLI89IU3qEL71IUFqgiMDXtJLch9US6ROo0aSxURT6zDXJ22CTdrTbiBw7Nfpn8PjMrU=	airlock:1:4QgyHGuU7qbAtaRS51W7FRM7z7+NH4W3PbUmMwmnAAf7jIOJ4iaSxMGUsP163oYnI92ExAuyrbOnR9hYbrc=
25	SE	Lund	CANARYMASK_p25@example.com	CANARYMASK_p0025	1957-04-19	CANARYCOL_p	t	airlock:1:4QkyHGuUqsd4RNAIm/ZfEeeauSpLD7f5cYvuvNEDr9YpUe+qwIDCMnWqFtUwyhxDVo+GiSpR00IYzeOZP1ClQLtPA2xoyXIke9ndMqZQEssxbm/cWss=	airlock:1:4QhvAP5VqHA7uBZ0J2ku3n6wgQztTudeV7fXpyf//KgCeISkBwWNlU4uIqoEC6ulJ9eTouADwZJtaXmCP2o=	airlock:1:4QgyHGuU3S3jEZBPDIeTKiL7OP6DFVR5UnoSv1ibqe6tXSd/pBbiBxSSWysZ5GgqNyvYCLq5og2R99sDTNE=
26	DK	Bergen	CANARYMASK_p26@example.com	CANARYMASK_p0026	1957-07-28	CANARYCOL_p	t	airlock:1:4QkyHGuUATVTy/m8hXytUXqvR8GFUCYfh3YJ2VjQQVZf+SgEXBlbib0hvHQDxNc1X4qh/SPptDHvm9EXHewUTP+vuQa561D8nnYcYogVHp/aPNCqTJE=	airlock:1:4QhvAP5VVVq7As3etMY/SY9iqT7FkIpsORnCVexV/SSLGZ3F4NXTb/D8SkB5eqITwTN6zNg5rOuOtnvpHl8=	airlock:1:4QgyHGuU8havutYA3IHEgB242bTbbpLzD/5XjwJcN4Iw8ZvoDjvnsMRuiaJPXq3epukWAiFMWSjRvKGgOko=
27	NO	Oslo	CANARYMASK_p27@example.com	CANARYMASK_p0027	1957-11-05	CANARYCOL_p	t	airlock:1:4QkyHGuURM35EZTDZbr2bjzyQN6DrVDvO6UHRP/2M/FEmXuXMhB9BTiIQBa5nSCa0ofWZDoIrs+w3glKobeIl/2RDh7aJkikuq23O4XZSTUzoUtb6YY=	airlock:1:4QhvAP5VNYYqFv/y+Ey2lKxARpG0n97CeKVrJyLLzaB818veFh5w4o8Rtd84R3uXUmYWtXxwXgf3AwDZDUA=	airlock:1:4QgyHGuUJ6lJaID+H1RdWP0BKBirmr093VRCd6gBFz56GIkYREZSKOuyV7+HejM/EROMIMSuGrqDOXz+IdA=
28	SE	Lund	CANARYMASK_p28@example.com	CANARYMASK_p0028	1958-02-13	CANARYCOL_p	t	airlock:1:4QkyHGuUCMPqOknsct7WRk89LA7e8KGWvcoMZG7ATUsvvq64BH/aIfi8SRh3YBnfH8AGJWbPQBSNY4aIQXc+oqdBLUKfu6FLEPzRRiSzmbQ3YEyuoMw=	airlock:1:4QhvAP5VQVrmKTwDh87KaWa6WS8PzbMvFssY6StUg1WCN7iwsDnchp96YYBorP4KBC1QPpRhmjLV5dW2u8U=	airlock:1:4QgyHGuU+YONca8wUFevmqjspKFnmkd8Udko7vEZKf3NiRPez1HKWioMthVKo6ssq23x5IMiRJIqQ7PIsWI=
29	DK	Bergen	CANARYMASK_p29@example.com	CANARYMASK_p0029	1958-05-24	CANARYCOL_p	t	airlock:1:4QkyHGuU/JRkHlqGaPPMnHzS2UQxSdhuI7f/QGEwHUdrqawH0EnldRtnwnjUp0wJkpHCL8V8c+MjMAFl4plw2T3UYWn3seaddW05aro/oaXNUp2HCoY=	airlock:1:4QhvAP5V3ttMuSQrv5EeaAZb9HI/vIkR1TuKgc9cNZl0Y3PjmIIBaMdZF8ft1BrSaoFmiXT3B14USz9mumI=	airlock:1:4QgyHGuUu93XeahEfF2wZrb1R/MODHz5hWmkkMgrbd3rzgl0x8/Yi+zYTXscLPLYlHVfkduwh9LROvrHLFA=
30	CANARYROW_p	CANARYROW_p	CANARYROW_p30@example.com	CANARYROW_p0030	1958-09-01	CANARYCOL_p	f	airlock:1:4QkyHGuULGDEUlzQDqovI+ckJPUcaw0O4ZkvqZvPNVWqgRtWbx363wf7+HrgSMLa0rQ/3BPpE3Hw/qdiRA3fGKecevlRDw==	airlock:1:4QhvAP5VKtW4KHEVUVI6WaE9Ci4sWRaO5e4bw2jUt6dWG5MUse39tEXETn+AdqsHr6ZHmT/Iomt4Yk3U3Hs=	airlock:1:4QgyHGuUyla8s188zZKY5TEahJXsbxo5/EkgygsNyjh0KSkfQuil1vjQAXnLZJOsitHJW5xFYHaPklYS2vA=
31	SE	Lund	CANARYMASK_p31@example.com	CANARYMASK_p0031	1958-12-10	CANARYCOL_p	t	airlock:1:4QkyHGuU0PvgtE2Mm/u0kn+WnVZ7bSLv5aabFRbu2wompkT8Osi1UaTdPZlf7/g6DCodEl9Ig3gR2DyHiYZ/Od3UDH3KkYZ/TyzQagPdX9d0JivMXwY=	airlock:1:4QhvAP5VKVVwlIFD4NZ3Tb1b9hpDqMpXZK6e29L75FaMjbAq8pBosMnnA5JV5retkrQBlVyEWNatbxq07wU=	airlock:1:4QgyHGuU+1KHOG73yqhAL+kbu38cjE3sBLF2a0h7CCQp6Sy5tIFmIctRadKaV0lOOQSMn5aRI/gQAS5+9v4=
32	DK	Bergen	CANARYMASK_p32@example.com	CANARYMASK_p0032	1959-03-20	CANARYCOL_p	t	airlock:1:4QkyHGuUA5KOcQ32VJj8TsvH69np14ir7Uf9446P27mkAvZdTEgauNMmy7n2c/BFYYE/lHbv63IPgT8CmOfbNLrTi0VC3vTSfbff2ZEzJRbtlicknkI=	airlock:1:4QhvAP5VWkWWyFNo091w4V0vADm5qVZGDME3EFskpYHpb4hTPHl2c3bGECvjkFvmTgp0+L/jqOg2BRC79/8=	airlock:1:4QgyHGuUWGuOrnYiGKYEBuB2mXz2yjKcev5yCPV56/oRlcR2xbzzFbh4+GjS5QT7iw9ebbjhaSYsrqG+E2c=
33	NO	Oslo	CANARYMASK_p33@example.com	CANARYMASK_p0033	1959-06-28	CANARYCOL_p	t	airlock:1:4QkyHGuUHQMwIWcClVJwdJ57UUc+Ssb+tU0fi0mpqhetrpdh2q24Y+1MJUSoYKTXIgOYawf7e0Hb3tBcVFTzz1rl+BO5OboK+PUylBlAydEUnW84K4c=	airlock:1:4QhvAP5ViHg1mAmGLcFsZV41WAzf0vEfKWHS7RlN5UY9f5h+MDqvr+Mk000RtZON0G8gKZtbYYb+/Z+EDHY=	airlock:1:4QgyHGuUo4Z99OQnwf7DijshI//xBHiEf+73fkvvTEbCaspa7sDGzxZKGSM4F0lIefhe8HySs33nwPK8jQY=
34	SE	Lund	CANARYMASK_p34@example.com	CANARYMASK_p0034	1959-10-06	CANARYCOL_p	t	airlock:1:4QkyHGuUZIYQkFTtBSEkm6yRDpDgDtBZe6WasKr8LHYJIAnHQVIcQsPUp8TBEwTGfWPP3F0xstye+omZ+yVTF5LrNxH2qAVh3WrWF3Vmsrzbh7qZT+Q=	airlock:1:4QhvAP5VZM1OviC/a3rL8U5UDkECDQ5XExkGZnwHlkmsY8JKjAbafFNmnprujDIz+nPtR1NwFsFL6RsV9D0=	airlock:1:4QgyHGuU4kLzDkcZyGndwX+rNdWV6RgkLnEt4RrByAl/YkN3MKr/NoTi4fJwazNs6qxwFF7/npqkYkYqjr0=
35	DK	Bergen	CANARYMASK_p35@example.com	CANARYMASK_p0035	1960-01-14	CANARYCOL_p	t	airlock:1:4QkyHGuUhI3XwEG/SN775yQd2CqFolWu5lwS7tTbdp7qcK93vKl+kw+151p/F+N7qES3YXCCzmRzAHQL8aCMRXDsWLSw3akk4rFjTMg4IaKgC0swSFY=	airlock:1:4QhvAP5VyNm8cWCQ97ckWh4yeLjInhStkJVEKq7wlG84aF/VGNzJDe3Vm7vqIta1vuA0MBaR+LwcKeB0nYk=	airlock:1:4QgyHGuUzNqwJjuvzvXAaTCX5oiQIsEL5y7mJma9/E7Fq+1l59DlJaZDut7ocAr28/x+ZmLdUCQ57xTkYqI=
36	NO	Oslo	CANARYMASK_p36@example.com	CANARYMASK_p0036	1960-04-23	CANARYCOL_p	t	airlock:1:4QkyHGuUTKMMkTQYFy6joxzeOm5xuSrNPZPzBa3w4i7sNoouK1IGv4iSEopIx0fkA/WnbXk06Mp2e3AbI+Y+33MQuDHBNuhl7asu2yN+IFsyftbHOtY=	airlock:1:4QhvAP5VJwFi4muvQKJsXX2rysSTu/d7D90qrCcMNU9bBkRXc8TZjR6bZDip26S5f9zdddJorsxDSD/wm+s=	airlock:1:4QgyHGuUDOssHRxYVgUMkgSXR8rqL55r/nI1bqraEvs8LCqOciSGL7u+/nFYGYkrIu13Rc2ws8gvOw9VVMQ=
37	SE	Lund	CANARYMASK_p37@example.com	CANARYMASK_p0037	1960-08-01	CANARYCOL_p	t	airlock:1:4QkyHGuUUSBsjXW2ZuBQn3YsXU4wmByeUBNelF5TPpb3dIVWOhtxZw1BAlSEFzqy4c1kgOveC0YanzPinoUUINjVO9bilxfksGf7mFHoASxVLTqnnYU=	airlock:1:4QhvAP5VK3kKuZtzjdAQxLv/ICqDWWPD/RQ8qFI6QC0wFUbqUpydPFUzk/dLRNqY63IXWZSI7Spa8iP4/YQ=	airlock:1:4QgyHGuUzmIrk0VMqM3ddZv7woYbNKfEMI7+MLoRKHh4Nvo9KZNsvC1bpeZ/G4+JpvyK2s1cFRI5q7ZYjtc=
38	DK	Bergen	CANARYMASK_p38@example.com	CANARYMASK_p0038	1960-11-09	CANARYCOL_p	t	airlock:1:4QkyHGuUyA5H4h/ab01NYuKiEx2CTrSn1iyVj40h3ZSz5ndtu6FvwD+ty1YuiNp3hnlFiwCp23gGswmr8VBqpjAt18GXyKxSFF3lB58AQT2QKd5GjpA=	airlock:1:4QhvAP5V4MrE+eh3xg3wplIv+nxduO7Z2Xn4IUZWS2gYLivr80Mnnk5M44PSw+Ij3fGYRNKA311XcCzEGNs=	airlock:1:4QgyHGuUczog5d1q3qPhsAHl2qZ2BDl2XmMejeRqvfo/6NHgozSCJKNpYooJ1Lc5oLdyuya0e2Qbw62oTM4=
39	NO	Oslo	CANARYMASK_p39@example.com	CANARYMASK_p0039	1961-02-17	CANARYCOL_p	t	airlock:1:4QkyHGuUwHnA6QJh3+IpuZiz4kQi/pZl8kAJQb9aemFhi+SmCq9w/IQtaH3CMv9zd4KZ+thDT6VSq38+XWUs1eXPOhFYBe7usMl1IZb9d9tUFBLIaRo=	airlock:1:4QhvAP5V3S258HmKkZvYGAIjrvu5t/vMI3IpGUJSHLqro0N1Rc6LSRioPGBSZW0PK10ueGiyT6gjOlQBKTw=	airlock:1:4QgyHGuUWoRhVM42dmitiAJB8benNhUMvBxKorQRsXsl3TtLinH/v7Rf5Cr6Jp/R0Nkkv3c2cSAFKamMnwc=
40	CANARYROW_p	CANARYROW_p	CANARYROW_p40@example.com	CANARYROW_p0040	1961-05-28	CANARYCOL_p	f	airlock:1:4QkyHGuUZtDvWffC1DhMOQgqqk8myT77kbXezXE9ihHbq9dpYvQNGB7wBwIML+xzUrnzabObhT3BqKv6OBtInEEIanlFsg==	airlock:1:4QhvAP5ViyN+NW1d+Zqo7tvasqgNVh91eEWDc5BXj8a3+JUz4aewEDXkLUh7Wr9QleUaF7vSdri5doVr2co=	airlock:1:4QgyHGuUOTIBSB5o/GPC+vZ+piUy5cgUCd+Fbm2a73leRlqGaMbgwp5InXw3f7zfz9RJ1hMb2u5yhNSsiyw=
41	DK	Bergen	CANARYMASK_p41@example.com	CANARYMASK_p0041	1961-09-05	CANARYCOL_p	t	airlock:1:4QkyHGuUPRuiWA2a1ZLVxsQkNn5vz+L0Fbb1tWN+gULN/eudrrkqQWOyCm89GavDlpILT7TEg4mrhJbu7qz982B+SxqbXnQmkd9FNIcFPsJP2uzIhhY=	airlock:1:4QhvAP5VPlB2OSQX6UD1HDtdGsyiWui0nxIpBNARlJhdZxt7jwueKGaOdytVU404br7Jclo4059+q63aXUA=	airlock:1:4QgyHGuUVRcq2BQ7EOsCVO10QkeSvCqeiSyYejRN7rq/ZCjGkpd5Njah4D7x88mXrnBRw83pF1IiAR6NetQ=
42	NO	Oslo	CANARYMASK_p42@example.com	CANARYMASK_p0042	1961-12-14	CANARYCOL_p	t	airlock:1:4QkyHGuU6evVGqNIg3R/WubNhIAs7pZb4ZeCiWCvp38LO1EhLB5Od2WgPL0jE/j5v1BFfM37LFRZNvPAHpVNBbbXKxdRt6HsCbkG8HrNS9NaDDteDU4=	airlock:1:4QhvAP5VE9XZLWz+8OoUiTfOen4wNivx+6nNBBLuggE6YAR9ISolDlkYtaAGMHvju2aBf7hIO77N7ZwaD5c=	airlock:1:4QgyHGuUMg9WNJzJI29BjvFHgrWJZxBsgaMZ6b+ajPGXN3c3gA/bLXSpwFMyv8d7/vLvgKpjxUapM0wa+NE=
43	SE	Lund	CANARYMASK_p43@example.com	CANARYMASK_p0043	1962-03-24	CANARYCOL_p	t	airlock:1:4QkyHGuUSCRgJiB+1HAnD4npq0iI1SOzfifY/c9HPkAw0PtXAoPCDzWrpapYfMGGjOa7vkuHfY8Umrp0IDH1XZdhgVEzjyeLmGENSpPdHEIAbSenzXU=	airlock:1:4QhvAP5V52fEWTtFnpoWDY0/S43mG+hJjnE6Wukj9U1Uq757bPV2yrvhyVlZBHOPMJ95F62gZQHXjzmaNWA=	airlock:1:4QgyHGuUbPt93x6mOHl0T68K/klfSbY0g19iUZvi6RMwz6x36N1wVSBqB77KY1hL0FGawyWAQ84TTKr6YAM=
44	DK	Bergen	CANARYMASK_p44@example.com	CANARYMASK_p0044	1962-07-02	CANARYCOL_p	t	airlock:1:4QkyHGuUPswswAgF7nze+0iqUMVEgCstPGWd9+tILhspLCA1Y1aSPlSZFTkbovzRq4lP4qWFQM70XcHltKvHBwnR55FCx6AeU2rgLLD3Db581pu6Xmg=	airlock:1:4QhvAP5Vf37t8H4w6L5X+KwpadFf3+pKR4+4CHiwoTxdNK/byf0e6Enipb+qPZEq0quLJKwVSb/J2/7TXTw=	airlock:1:4QgyHGuU4BdnS09dOTGCIBbgNB7WB4JWqEQiQ+K4ONZPbYqYEVGhTGJdhTJZzDTSVrFFIIBdiNyX4Fv5u+I=
45	NO	Oslo	CANARYMASK_p45@example.com	CANARYMASK_p0045	1962-10-10	CANARYCOL_p	t	airlock:1:4QkyHGuUkMkysZBJNImCNWd8JjxyUbz1I984TMY7/RAQjE+rqX3tREjPVPcbCSI8xoLxiGUxap3VooiCx8cn1qy5V9/XauiJwAnwv4Feu/1QvMwZ8kk=	airlock:1:4QhvAP5VUo/8rmQJ/dFGIABQqbS03nlvlN7VkTJRhdZPl/BRq+vMOadOY7KgGlXXZ+Ns53VWGTA6V77B/eM=	airlock:1:4QgyHGuURFGx2msA+MERg6zj0CDXBWDBgLKHOt+ThPibxF1gCtr7v5gL3XLLW2CvvrJWF1kSKGbLLmLmlUM=
46	SE	Lund	CANARYMASK_p46@example.com	CANARYMASK_p0046	1963-01-18	CANARYCOL_p	t	airlock:1:4QkyHGuUhYu6zU71fc8e+bCKTOTiruTp4/UxncQHD+riYuglOpokjn7Rk3LlxlruB6MAQTt9XdZZzs/Xz4UMpblw9xLOkP0bj089YhFrgx/u/DRYGEI=	airlock:1:4QhvAP5VNxX1pGibwkK7kZFPgXBdBvi9q3Hufp2jr1zuSHxxxRdagXXpmgCkevtzNjpNP5aPzjsd6BNiy/o=	airlock:1:4QgyHGuUNMZ2Ef3Xc5KkoGRZW/D68jN0+WoEhcEBlgq6Jz6vKNKxANaDc+KrghF8Nq/v1d1a69cypGroim0=
47	DK	Bergen	CANARYMASK_p47@example.com	CANARYMASK_p0047	1963-04-28	CANARYCOL_p	t	airlock:1:4QkyHGuUaV1fVSDrzJ39CyxglBK7AKJF4ECjanATO49AlyXeM0qkEIbmIGeGKGcHxjggD42OU1x+gnMsQdhR4hFhsqTIC7OJFtNvR9gazqp04WR03Eg=	airlock:1:4QhvAP5VqOaRtF3e0U8vaBaKWAcFLZfLa8WRPkWJTjxvC8GvdPj/cQyBWZMS+DT+MZDcWI2NjMv4A7Sk+hw=	airlock:1:4QgyHGuUe/0fBpX+H3p4WmTQGn+NeriPhruv8jjaQvhCvZJ8MavM+X1FgYXmhRrvg3if9CeJc/UpdNxARmU=
48	NO	Oslo	CANARYMASK_p48@example.com	CANARYMASK_p0048	1963-08-06	CANARYCOL_p	t	airlock:1:4QkyHGuUls822z+XiQft8STrChj2v8D18jKzusP5lmG47dyO1pRMlnN1+kBJKAZ2eIojX8Yj2vAy3U51xBu/hPPuWBYVm0l7pebnf6drw+Hg5qYphTY=	airlock:1:4QhvAP5VVSyltqAAFeWvzozbAWBB9KnO2FeiKEkyFeIyvgE/dgOStTPUnjCTz1cgRmbwB2qLPnaDp50hbEw=	airlock:1:4QgyHGuUz74DXqMN/cVfrK8l9E+POfQQUOpAWuDCcrCBLyqber9ZCYaxqviWZhSEZNY7bfxiBxV9z9Sbg60=
49	SE	Lund	CANARYMASK_p49@example.com	CANARYMASK_p0049	1963-11-14	CANARYCOL_p	t	airlock:1:4QkyHGuUDTbi/stvYZYueXr29kOHtVZR+34ZtvzggMSop6bOFAyshuGzoKwic0AM+Ax/s9WDh1PdL2Sig3v2X3Z6WPVuLgTpRhq6j5r9+zoQCND9aCM=	airlock:1:4QhvAP5VlwihbHY6x0qG71yBK5M5aDD27HZXrapcPoUxNvE+YKxUhu0xJ6dppeSTibSWcN02+T5NLPL66x4=	airlock:1:4QgyHGuUYH6ifJKY4lqIau/oAaxZ1SEiPy+HF7pmbmJV1cHiq5qKjZd2Kp/1iVFf24EtgaTcNiNCq9Gpawk=
50	CANARYROW_p	CANARYROW_p	CANARYROW_p50@example.com	CANARYROW_p0050	1964-02-22	CANARYCOL_p	f	airlock:1:4QkyHGuUiaUfGzcQwYmhMf96a7bqa2zBvYQctj2gXs35jKe3CoMShdPiFzwdqmgkGfS02j6P4eSqxiP2sb7HQ74GKvSU0w==	airlock:1:4QhvAP5VKI+bDQ8Es4y3PF3pUinKBdQveT12ER3L6TPdbE4E5axb78F9BcXvSjrL8KaQZThY8zqao8fiYOY=	airlock:1:4QgyHGuU4nXJ3rAt3Y4Pfycl7kVG+PqNnWYRvMJlX9+CgzH2ZpPGMKUeoVvYl5wyF6t+RA19Kd93cvV5fmE=
51	NO	Oslo	CANARYMASK_p51@example.com	CANARYMASK_p0051	1964-06-01	CANARYCOL_p	t	airlock:1:4QkyHGuU1QwS9Xk8WGjVizXTGfTxcNr8F/4d93r20ssDRcMIXJJHhAhU5wtReTICChU5rBQT8CMsof8VC6fjZkKz9DhdkNo+chEnEWXGn0YXYVxvHY8=	airlock:1:4QhvAP5VEIDhhJ7l338MNM+YZFGlAGHRU3bUtyr1jTPxW6UbbGU2rEf3Ax4f4uWKF81w6rhJ9easUfS4S2c=	airlock:1:4QgyHGuUOwa8sDBG4tws1FvGuamKTwZT2qJRU1gt7f2jE+b1iWZmGsvg5Z3+Tq5qWKq22Qsx6I28atc2WLk=
52	SE	Lund	CANARYMASK_p52@example.com	CANARYMASK_p0052	1964-09-09	CANARYCOL_p	t	airlock:1:4QkyHGuUp3Lq9emjJWuAP4o8MmosFOFoBVSAxPtLrMyikokifMksrYu0s5B5awkmdsv4eKhrEiu3heTtMUaY8FYJmj4EfO7yf/POpsK9E/0gFUfCCVI=	airlock:1:4QhvAP5VWkQn6YAwDW1Y3T0J61py6Q81+g+DfZyodpEFPT5KB7+qoUHQg2iFXsLWDb2YN0k5sEY3qwWetTM=	airlock:1:4QgyHGuUYBqCUFinVJVvUp3JxwW1RFoWqcPjTMU6MuiPWPFln5JmfRt/WXdil3iVzrniVeGNDeXHwRiOYKQ=
53	DK	Bergen	CANARYMASK_p53@example.com	CANARYMASK_p0053	1964-12-18	CANARYCOL_p	t	airlock:1:4QkyHGuUan+E1N0vE97oQprF0wNDMqFGm5gAjeGp8LfNdid+oxgu93Kjz5DZSDC+Nc4Y7mFi9ta73YuhC9fBbc8P7wLP55pgpx1UKxfZRyZkU702Hxc=	airlock:1:4QhvAP5V/7NN5xQnZ9lnjAGJRQ5Be0rEklMag4IIBlCw0PsO0KAC+e+xpPt8risyh9ElrZCHbduzMGvxNKI=	airlock:1:4QgyHGuUWq4UoLjw6PyCRRQrw+jkgZvNssW97m1WcCD6EMd5F7ounxx06BYUznQL0wYT1ZhEbSjy2MFaftg=
54	NO	Oslo	CANARYMASK_p54@example.com	CANARYMASK_p0054	1965-03-28	CANARYCOL_p	t	airlock:1:4QkyHGuUENLGpGpPcuvVA0MCuaYM7IF12cv/sbt4/yaLgwI5+69Vr9z7YICg2dSSCadBA0Az+EW3e2frkBm54he9HLVC+8wzeWyRv0/OzQdplZnujhA=	airlock:1:4QhvAP5VEpz3xX3muu0W7xUzDta/4puRGionXGIYbUqSmZzo93mG7+VVMBPt1DHFiaEHS9QRQHar/QFBzfI=	airlock:1:4QgyHGuUWTG16nwQLoXcfhm7CszXFfDR7UaGnKUzCt6XTcKkzhfnA+PP16a+iygQxEoWYVq1mCwzmui+/Q4=
55	SE	Lund	CANARYMASK_p55@example.com	CANARYMASK_p0055	1965-07-06	CANARYCOL_p	t	airlock:1:4QkyHGuU9z8adJAyhwwIsjAYN42yFEg2P3fbz2HuQbLl2jClQJCCgmPxLKMG/33+FCDyu/RGaIzgZNqyJi8x3Cy++Z02h548QSDOXUc/u5nfi6obUFs=	airlock:1:4QhvAP5VLQb38dG/VkZShvsuV4ztNxFkrUU63okqDv1sCVPFC8u3LDCVcxpdrfp+zOO3OKFoCFIn8w/vk7g=	airlock:1:4QgyHGuU1lYxmO57ilHzvYxQ6gYe69bfiz+VxEz4Gd3A6WmJTMq3uhUZBY8xrQCUMJ/R1U/1Q5RVGlm/XrM=
56	DK	Bergen	CANARYMASK_p56@example.com	CANARYMASK_p0056	1965-10-14	CANARYCOL_p	t	airlock:1:4QkyHGuU6rjPxqgcL90d2mBzz//BJZB5nV290T9PQQdzh4+YyOwN1Yb/v6jAiUNBPkSM6f/vndrbj1jyLkKxy6ZwpBMp2P8Lry6JC3f6mMof1Fe1C2s=	airlock:1:4QhvAP5ViOKlSVA7jRW0tOYahnfjmodrM7O0huF2uhAr8RRoOGBJZDSHEEGNirvcAuRufE5+IQ2e/s5N9/8=	airlock:1:4QgyHGuUmW13zqbJCD9XEII5Eo6evHs0wp8D2sMEEl28OQbiZ2wpHvKb1KATJJluoimW+Ru1Icq3GRJUVWU=
57	NO	Oslo	CANARYMASK_p57@example.com	CANARYMASK_p0057	1966-01-22	CANARYCOL_p	t	airlock:1:4QkyHGuUBmhLt6WfV+iTCR9nW/0wMHy7kkVBgSNWeKUQj5TUpRBTNSgrD+N9C8zNsu17AxXjBjOSWtLjJnLSo1sv+wkSzC+G+/YkfTJyQzYFFArFcvM=	airlock:1:4QhvAP5VjCQN+FApZPXBd958tlPjUjgWF14KJLaBslGw5sZ0B80gfwT17vlfNopsKh6Fxjewa+0cIHOfngQ=	airlock:1:4QgyHGuUD9N4F1KV2aYBdQPVxTpUc+hdoh17Ffs4lr58qNcVB9vmw/uBxzusXyHibsevdO3MiqMAtymweuI=
58	SE	Lund	CANARYMASK_p58@example.com	CANARYMASK_p0058	1966-05-02	CANARYCOL_p	t	airlock:1:4QkyHGuUf3BcAQVOoqskLFxSW9I4fhF8wvlESSOR02JV2VuaxV/pofLN8JsZ2Xiia/Bgcg/IrebHJgTuLzp8EcQEiza6y5tQuVAM74ck9VduKZiwRmo=	airlock:1:4QhvAP5VtwhAgv3hWONCQt9ezUW/sUdP5VbkeTtR61XvELf1taN49cT/d6lKMG9YHPUQeYK68pcwMrOlM2c=	airlock:1:4QgyHGuU7jeZ8ndc696gA4NT+XaTiAjhmXL759Tsgs0z8hdT4eEEzgfIFWBjIrgSTJ/oFK+iBNS6BTvg4l4=
59	DK	Bergen	CANARYMASK_p59@example.com	CANARYMASK_p0059	1966-08-10	CANARYCOL_p	t	airlock:1:4QkyHGuUZm6vgPiW1QENP6iHgnf9bewCYYMhAi6d0JVWwY3xAetQ7RavXPF7JujgtPDbD0d8WccA/wvSNewFo0+qkp/r2goylJgD6TuwHMu4HXD5H5Q=	airlock:1:4QhvAP5VJ+N/DMYpShLQXked/VpLOy1cmKwPbtAIKkjNXttUg4E1sTcy82Z80nszzlPhLQDde5E7OcMmp6Y=	airlock:1:4QgyHGuUqm9UwmbfVSRxJReVrkz22t9MMj+qTV/P9RlrF3Olmn0C6oX5Jk+yLg8R9vNbC9cuaKxsMS2aqJI=
60	CANARYROW_p	CANARYROW_p	CANARYROW_p60@example.com	CANARYROW_p0060	1966-11-18	CANARYCOL_p	f	airlock:1:4QkyHGuU21n0tEwzwwiK8/I0TV51UdmuFDqsvOmSy9cmv2/vKTH00F/S6+C2Gmsg2fT9ryVsBavSjuIrGvctGR0lJjiPgg==	airlock:1:4QhvAP5VXV+m3i3/o73N0jGa+0ueq1u01qG44uQ+rNgnayVCikCeX3QSQGYXrH/NTRTxvGNQNVOc+q/IiaQ=	airlock:1:4QgyHGuUlzZhBnkVtJMFTvEXb90PRvTQXa3cy5UaJFOV0G9yeLZ79GgsFJB50HczbKtoKdPUrMPQVTCeab0=
61	SE	Lund	CANARYMASK_p61@example.com	CANARYMASK_p0061	1967-02-26	CANARYCOL_p	t	airlock:1:4QkyHGuUs5mM12SNDDnscLQ3irAPmPjUgPHknNlnscUS3aMiUFuE9q3tcr5eW3ZZ1TYm0RzIyPM7CoosUQTuGmv2X1g7625ZBYHTDEMLFWNI6bG+wo8=	airlock:1:4QhvAP5VeNMAEfb3BTOaLencGZDSd48lv5KPB+PcSmEFRBBuur560Mi+ASt4w7ijH3AoQ9ItytdXAL6YX3k=	airlock:1:4QgyHGuUf2AGcHfLt08Fh0ZRUguSY069QQDZm2aJ/0jTWYv8J3KMf+34UKlUWXZq1GW7P1oU0eq0wA/Chuk=
62	DK	Bergen	CANARYMASK_p62@example.com	CANARYMASK_p0062	1967-06-06	CANARYCOL_p	t	airlock:1:4QkyHGuUigM6PNUZEvW1dvsPEoH+hKaiT6m5qka2PU0JFl3HWUUpVvtlQCkvqCvV9AsOUTu4fqjzThJQLg9JsH911XitpVcl1zhHv7bquiXhzWYkPOk=	airlock:1:4QhvAP5Vz1v+FJolhF1LZvlIgyxLrRFgNwsKASiOfqL8c7jv7cNZNIbkN+YYGbxCZP542etkEdn/ppwjWFI=	airlock:1:4QgyHGuUK4By8yGxY8dAhKrHCTCA4CP0OG2bfVGwbzeS5ZZygXiSz4HVWwQJLfBcXfIRtz3yq8h8uk470pQ=
63	NO	Oslo	CANARYMASK_p63@example.com	CANARYMASK_p0063	1967-09-14	CANARYCOL_p	t	airlock:1:4QkyHGuURozglkLeYeJW/hRgkBagtQcJu+zgxYGrPM7JhxGvswUthYXiivwUoG337Ua0KLBwGMICYtr1ikUXgoHiHyt2oNWzf3lwcA1BZQZOklZRc/o=	airlock:1:4QhvAP5V1ivh1PVL+qLTz3jsJiT8o6r2ls5lmhMNS+IFSjq0IMO2SZjWQzFcHKqoSKZbOtkgWjzI/tzAvUE=	airlock:1:4QgyHGuUEF2WbbfVs7io1m/jumspZy6EkbTnn3ERePvptOCZJyj95BalcKlWJf1y4qJAYl20jpk7ZF3iKiQ=
64	SE	Lund	CANARYMASK_p64@example.com	CANARYMASK_p0064	1967-12-23	CANARYCOL_p	t	airlock:1:4QkyHGuUB9eUTkg3Kj9Byx1j7RLU6flubwtvjKb7FwJZlbYPXApzu0SKTPLRkBraY4wqLmcmXtib8zI4RlOj3sCEnOTnKVQTMK34M3aPVY6+kaXdIQo=	airlock:1:4QhvAP5VfvoGV725cI1dOwqdO/GLcL0NYLTi1hXziMA0TTmzXImtuZVOjCVGyPNbaSAaxqJG+abVW1xWb0w=	airlock:1:4QgyHGuU3+0Pj8I9MziszNjvLR2DgXtK677shz7wrDgR/o92YQu29acGKvFxs5bgc2XukZb8h9Ob8XTeggI=
65	DK	Bergen	CANARYMASK_p65@example.com	CANARYMASK_p0065	1968-04-01	CANARYCOL_p	t	airlock:1:4QkyHGuUjsUuwx0GLqPmOH6KuSkZEqyNKtXLAT6SIf2aeZfUlVsUNnRbVSwHvVVX3k3K2L+oxA2R2kj1E4gfEpvt9FhCb+cv/g86DaXsIOEkzAcngYA=	airlock:1:4QhvAP5VPuaD8ApiiQKHhCJERnGZMvTcMYJFHCokmOBCjdo2mqek4NjYKBUp4b1Qx/s6NFP4HYV0zVaqCvc=	airlock:1:4QgyHGuURF3oCXBG4iALERq3MfiU1Hc5VyNYp4IGRXNWDOGTY5firUu45C0m+fUMItao7ezOmdIBKaU8U+s=
66	NO	Oslo	CANARYMASK_p66@example.com	CANARYMASK_p0066	1968-07-10	CANARYCOL_p	t	airlock:1:4QkyHGuUEvvFg3EFblcDNq9IHl7KG8vooKI6fre88tXNPC2xT6QUN9JbpVBnToeI9aA8dLsrizIczFDtllGYWyfGsp8fr9ikHqNS0eFCgsrs3WBsX+M=	airlock:1:4QhvAP5VNEb6RZIPF26i8SPP7ZMv6pGhJX1qlFJoWoyw23IAJXCSDzkZw4aw0IASNf50bnactBAlZGTnosY=	airlock:1:4QgyHGuUJsRWT72DDoTSfP8uv1BDZrYDtArFqjiMLuSDgs230tZy+lKt6ywkBf6qJYQa+dBVIKME0MdaINs=
67	SE	Lund	CANARYMASK_p67@example.com	CANARYMASK_p0067	1968-10-18	CANARYCOL_p	t	airlock:1:4QkyHGuUAXIXYv5TA519Dz8h2VHDXbgK3R4XFb1offB4AvM1Ag6e9RvrGYQ7ho7IrH5DOmXs+Ej9uxhsv8y8ZZzR4p9aISXem7yxu0jHZak8UreXKD4=	airlock:1:4QhvAP5Vizq1ZCDkoZqxM4PZyFj+rS+qHVT71ZFUhWNQrm8NPVe2B6bEgPzYSpwdpm/9NWt8nbVqHGioHMo=	airlock:1:4QgyHGuUJdd4jUtZASkaXN7yeCOzXf9AD7TY4ydpqZMmuYae6apMh6n9HrpIeLAXC8Bjz/3y2ryd/Vwu+0w=
68	DK	Bergen	CANARYMASK_p68@example.com	CANARYMASK_p0068	1969-01-26	CANARYCOL_p	t	airlock:1:4QkyHGuUD7Mcm0ANu0dhmuuAdEoFpoTXK3s5gf8mOH/DjUIrxx2qJJ590/aOr6xuhQ32PwPdx0ZNZgXuiLTyryeys1KFE1mxufDJsgfAi0kYy6XJ4oI=	airlock:1:4QhvAP5VVEblR2DWIgFTx9kiT3kbLNQSnorhdQj1AFhwAz/C4Pee93R6bs9tFUiPPXuxCYLqX9RY08XApwg=	airlock:1:4QgyHGuURrMD4riiQBUlJnaBzZ9tHTQpuUmq4dSUgyxdOylsybCMB8QKYlhDoOvdKFzcnTaKSq4ZflVU+Vw=
69	NO	Oslo	CANARYMASK_p69@example.com	CANARYMASK_p0069	1969-05-06	CANARYCOL_p	t	airlock:1:4QkyHGuU9ZhZKvIjQj/ELATYYX+b6m8MWlIyU0Zv0QqRAFgGk/aWZNu6KoAdfjHMcnYDoaaLyPLpohxycrcYTvLpgHi07+kL+jQKI+slFcv6kL0JnsU=	airlock:1:4QhvAP5VctJbcmJAKNLyNHtOjNqDESvPA9yhRSs7Ka4Ul5jkG46B//MFiojdcxjdYahWGdogl0st4LsV5mw=	airlock:1:4QgyHGuUq6u3Mz8D/UtkrWa5bZ/hFoCUiaaVG0VEDcrK9AEKCGoEhlWqfsgzZV1eH5Y4/MqAVbomIJ7EsAc=
70	CANARYROW_p	CANARYROW_p	CANARYROW_p70@example.com	CANARYROW_p0070	1969-08-14	CANARYCOL_p	f	airlock:1:4QkyHGuUnVLS+Fwmy8qogXUCuXqx9t6Pd/zC+6mLuktO+AD210hKF6R6FkIpk3Ls34AMLZ3fc/383K1WDJt7Wa/QOvMe4Q==	airlock:1:4QhvAP5VYLOph24yjWgLqKeU2NxXp5SvGhKeIFSNWKpz4N5dImSvsPt9fME1kL7DyN53YsztHcDivJlbfgQ=	airlock:1:4QgyHGuUj6I+a4JPx3bcUYeQu1ce39BwHHsEv6RX6IxzB1oWhFbf8CH01EVKG9qdz/XJeDmu+olpJfmUSew=
71	DK	Bergen	CANARYMASK_p71@example.com	CANARYMASK_p0071	1969-11-22	CANARYCOL_p	t	airlock:1:4QkyHGuUFlEfxcX+kaqLdyjzzbYxaihlgVK2BWegW5a5olqY/4n99T0dSN/LfJn/vGW7wqXL637w+dHMyZE/GxfEoQEucpVebzcq4HVeAFDPxUefD8s=	airlock:1:4QhvAP5VnjLn3OXKaOh9gulgP9BqtKEUcn6git7QdEf23j3NE/571tFiBotpt5nSuyJ8QLKgI1Y0huoc/D8=	airlock:1:4QgyHGuUQoF0c7KfDpfLHziC9WfbQqsvZMd1T9UDvQlz5vhgzmdobuxL//v+ZtAPWE3DLX02INsKpcQ91Ck=
72	NO	Oslo	CANARYMASK_p72@example.com	CANARYMASK_p0072	1970-03-02	CANARYCOL_p	t	airlock:1:4QkyHGuUOgnUg0ly3wf0Ko9a/BHm7BNRpg3y34vCtpK/5lpHi8m+EH/bXWEKl88qnvnk7FXxpQEJrEK7kuzudcOMul3KrH48MHcDXqiJLzSxEhvwQB0=	airlock:1:4QhvAP5VQ/wxQ22h5OlvPXIIL4bS2nP3jeqWyVtrP9yfBPkhdzHI2R1+TEt0gVkZLNQ9i0Bh3DFt04gOqjc=	airlock:1:4QgyHGuUrJA5NIaVdmKrB5tAq7SB0CfvvFOoExXFleulVtc3OTDlWUzc63JPGuoO/u0x67cZ4MzNWkN+Mtg=
73	SE	Lund	CANARYMASK_p73@example.com	CANARYMASK_p0073	1970-06-10	CANARYCOL_p	t	airlock:1:4QkyHGuUyeoCJ4EVaJIYJvCUZHHqkAd+SxPRq1tffxZGETfYHOYB7+y/yCqfdD7eUhUi3m2XMd9ik+wcXAmFSNylPW/OokCBfE5YokCjNUo6sWHCp7s=	airlock:1:4QhvAP5V5fgOCa88WN66Mgsx78WvWOkas+of8NCcAVZGJ0VV5aYi8Vgi4MNOD22EvDA6odgiHgegeBnNUDI=	airlock:1:4QgyHGuUrNhy0EtVyEmFaxKOdnlGvL2PNzmQiMn1BRmfmOGOQkGghz4bjCKwbT3ly4Pqn8YXDeQ3SBgWnqM=
74	DK	Bergen	CANARYMASK_p74@example.com	CANARYMASK_p0074	1970-09-18	CANARYCOL_p	t	airlock:1:4QkyHGuUH2kKqKlVjH+I2XkdZMHwzV2OitiqceB+emHlLSZPCUa3o0TNNrKRJD/uXM44/TJKASx4HxE9sq9YQLyv2tXP7vfKXAje362djC3Z4RAQHb8=	airlock:1:4QhvAP5V17Ae1N0lwJWsYUh24Y6tk07G3rBsGfomWoA9LZD6Uyri1BkIkx3Q5RZkIuUlxDSXVn/w7L3fxLc=	airlock:1:4QgyHGuU9wr8M7gJ/N5lopvw5GIhwqvuPP8OtcNpmZL2pjCrDvgQrXS5vZ36eZq5lDz1WiyJVjrXbIWqRY0=
75	NO	Oslo	CANARYMASK_p75@example.com	CANARYMASK_p0075	1970-12-27	CANARYCOL_p	t	airlock:1:4QkyHGuU7YTZiI9Ct0mp4rOUvy+n0GxZ9TudOjMNqVge//oidlTJ79aQWdq7xKwC2UvbITL91MhuknQptpRT9NFxPgVR/Pl5qxNrJAPLEPDVrkEQB4c=	airlock:1:4QhvAP5VTbBF1hoWxggrHdN0ibDE8OXTCXqxBu441kQ36aJ9mD0MI9eK9W0a4yUH1zL20UGAMetbekrDbbY=	airlock:1:4QgyHGuUEwaSmx4k0iAc+q2RNJKIRMCFxzZyj9gFMJZn1SpSSSBwRjFp2wMn0COy3hURwEeW7hyNa687OHI=
76	SE	Lund	CANARYMASK_p76@example.com	CANARYMASK_p0076	1971-04-06	CANARYCOL_p	t	airlock:1:4QkyHGuUhDQ9hWe5miPwdfEL9yPzhMqV8uWTNziud3VE4zNPYuAy2JpPEaHfBRbME7gasvRQ5414ffxyMF5D0AbFUB82REbmRtDC9mR1RIauDdxkGPI=	airlock:1:4QhvAP5VnpWJQnR/8iiFLW8dz170ZJyUOlkjRgldMIXpL1wlRZHJU6+v1foDb4zXnlmt0J7YtZ80YpwVwfA=	airlock:1:4QgyHGuUBMk7KFKxXtog+iFf/p928O4/dsMSK9kBBzMMVQvi/PFox5gSbCwXbykM3wq3BPxgfFTOkzmd3UY=
77	DK	Bergen	CANARYMASK_p77@example.com	CANARYMASK_p0077	1971-07-15	CANARYCOL_p	t	airlock:1:4QkyHGuUZbcUeFhAhUTwaP9po3cYZpNbjyMgEDLQgvxVJ9cSsfM589Hkt2qgI2KYsVkCWB/eeazYOWvCfjs+9eVi5MnDZEy0DiT5OP6RX9/Bg0FHShU=	airlock:1:4QhvAP5Vm699qfG4uY3SIFadpn0sRW9PVGBNt1qCfzrKsog4rX1HugaxDbviZ1t1httVYfU3az+HH4O6AEc=	airlock:1:4QgyHGuUGfujKYFOU6Xpiv7ZNoQvdJkE/khj6ZS8doDzDhfOAweKEQlrkwOFsj3IqQupWtk9tq8Zu5k9l68=
78	NO	Oslo	CANARYMASK_p78@example.com	CANARYMASK_p0078	1971-10-23	CANARYCOL_p	t	airlock:1:4QkyHGuUU23Snw3fWO/sQJe0LzVJqxXvw/3cEdZuKmqO7AolSGOijWjY9gyieQqT2nTbcBU1SVK1d3Oclf0qh7QRyP3LEzg5STIzlnX9g9A4fFca+qc=	airlock:1:4QhvAP5VPhsucbbG1iskwhJ+ylBxrzL+tbrqB7Ht8clHHLnLlyKdzjvBnUFDWcm3uPNLuSnhw8q7LhLgT2Y=	airlock:1:4QgyHGuUCx+fAVe09kmJWOq9CDhriDPO+9HrWamtk/FwB7ovdO229cTFJko29+3ON77YKx9gyEn0ZvYzNGs=
79	SE	Lund	CANARYMASK_p79@example.com	CANARYMASK_p0079	1972-01-31	CANARYCOL_p	t	airlock:1:4QkyHGuUe2BajI8iJ5qFPjN4D4Cl6a3VgtziUVTeKtWNMfyB5XcZjrgy+b19qWaLgt19qNdrXWf529FCpH3ke+Q7PicLacYvwofkq7ydAFwficzyI2w=	airlock:1:4QhvAP5VJRaXxxJVp+O9yhaKSM13/puSzcUZNS87829ObTi+u+gowIUETQxJ05MpHrMCz6VlB7hi2ebRhJ0=	airlock:1:4QgyHGuUuO/va9XkqQyG22S/O12kO47dz09leuHn56JEkaCJ1XvFj0ASTn/O5/LHHwAOYWjlHjWKj0vpumg=
80	CANARYROW_p	CANARYROW_p	CANARYROW_p80@example.com	CANARYROW_p0080	1972-05-10	CANARYCOL_p	f	airlock:1:4QkyHGuUxV2O1sNCPZXYBPXZp//EDquNInP3/sqbGAwV5ij533UC2KLOVsg9Sn/op8E7PcxdS77sPrbtNg9ygmWrpT3NMA==	airlock:1:4QhvAP5Vy088ZhyAm5lJihf+I2sPxwgizxAZWsrji9R8/Sp6keGTOp4qEKhzuKwNSs1ypJTiwKAXfGmrJJg=	airlock:1:4QgyHGuUPaT+yvMS9LS1ZajcVlKCtUz5ruoOWh+ea1IXntkYJu/y5QJbNRWwk2QhU7lpQD9c3c8inZTKurY=
81	NO	Oslo	CANARYMASK_p81@example.com	CANARYMASK_p0081	1972-08-18	CANARYCOL_p	t	airlock:1:4QkyHGuUE1OUgMHPBcOcQrE01eIz43h8F/xORxLFwweGMXXO3Y9wAfPXMOVhfEbIIB112x5mXuptZyf+3QMUMP587Mj0Dv1M/wwD5uX5U6LAWtRoJGo=	airlock:1:4QhvAP5V0/UVQQInX5e6/zyGe23KqoRcwA/Zf0Ap1PRYVeHkZ9umWfiBToMuxB2tRnEuQr+qZZJSKGg3Aik=	airlock:1:4QgyHGuUB/dAeYHUDuCr1ImtkX61BLV44BNRHAiDP1XQIJddklEEumsFSFkckAJjuVRedJKZCWW8YN/z0/8=
82	SE	Lund	CANARYMASK_p82@example.com	CANARYMASK_p0082	1972-11-26	CANARYCOL_p	t	airlock:1:4QkyHGuUraPtwPXM/3OQZBXEpSv/ZEYd9bL/cOk/5fms/WBh469L6vNTMG88ez1dwbqmWhZz40/fOESdzbP+ecqlaDYiRSHKz2Vo1NA3dP4ehKq4rqQ=	airlock:1:4QhvAP5V3KrGvmwaBZkmLz2pomLmebUIVZfG7k8X6y/cKaZn6R3gHaARC6wj8BZAYwGhu5dyKY5+sd3tWIM=	airlock:1:4QgyHGuUUcq8VRWEzyQY+9c5/CDDZFdlGjhfRAefZYDcUyxXlQljbE6Wm+OGUMDoYHU8GjlUHU7S8BxmAKQ=
83	DK	Bergen	CANARYMASK_p83@example.com	CANARYMASK_p0083	1973-03-06	CANARYCOL_p	t	airlock:1:4QkyHGuUx6C13eKu5XuyXdu+0gJ54iHiE1p69hxjvIaUCWrmxChnr0gxyjquzQWb2T+Sv2l8uwbYpx6arAwZe8Yl++QMWfd8Fh13eSl5Tq9gDFz63Pg=	airlock:1:4QhvAP5VRjz0WhwITw09Q+FoGNdZOre4ywSsvA+NrtknEp6fCMYRe/ZNq4XBASTjI3htDIKqSeCh6UoJJIA=	airlock:1:4QgyHGuUKRb1mmXFDn+vUyz3Fymu3GZnmpnJjPLe8R1RKlmzlqt2B6dwcgDHk8Ef61zp+jbLh0p4GuxIGxA=
84	NO	Oslo	CANARYMASK_p84@example.com	CANARYMASK_p0084	1973-06-14	CANARYCOL_p	t	airlock:1:4QkyHGuUANQ49pWQ2rSZnk2ueMqS0gC3l11AisYuXSpDPOmr4JyUSL3HelY0ffAPpEFn6be9c4HVTj2ELYeutyyFfGe1pn91XTwN/WnrgZKBlKK0OtI=	airlock:1:4QhvAP5VOh6BLbPKX89EC48hGpmHmAfN06Ursp/jRA96CVnSZEVtZ2R0Cr/UfSspOq3dya1hhgwftdwGTHY=	airlock:1:4QgyHGuUyxurRglWx0gdJCFpTXfG08LdVdrVF0m5b8ock0c0lOTPXHqrtdfdfapSNah3ZHxrMi1kkO8UDh8=
85	SE	Lund	CANARYMASK_p85@example.com	CANARYMASK_p0085	1973-09-22	CANARYCOL_p	t	airlock:1:4QkyHGuUR2YG/1qR0ZmjVEQzvaRdvUbkNy1kV2BtQehXW8oGuivHuNnT6baf6/TP43yRF/BEHiFyXRdCio6dLQTIkZwKBY/9JLzCavggYjSbUUHVPWE=	airlock:1:4QhvAP5Vkv5dKXUUCavUaIuzlwpNZtQcMkGjPSGKH8h2z5xotce09CO5X8/g2M1vVWIJnLrblj85+9E80Sw=	airlock:1:4QgyHGuUfCsOvIynxepMwqjgk6jydIlngwCGLWownSPAct/lzkXXaKOeNCIvtDN/8JTV2z4esleJLdeh4uA=
86	DK	Bergen	CANARYMASK_p86@example.com	CANARYMASK_p0086	1973-12-31	CANARYCOL_p	t	airlock:1:4QkyHGuUDGCnQqj32EG6kyd0gfenyXJlk/Rsa95GJjsEKvZUC49EfGBJ+f1e6jRWmH/wxOY13bm58ivoWqWxJHO42TH8/bQnW1JStjQg0Spe1R+9L8Y=	airlock:1:4QhvAP5ViMkIBoHectGv5p5s2qTDyMB7mQv3MQiwSI3yeqVIww9PKmJ0+iKBETgirGCRK6vxcKROcoVFM4E=	airlock:1:4QgyHGuUkx9lb2FCJz3RvkykDMqj+BQkMyt7TqK8sJ1MFJ3oMfIIFHD73AmH3uYVZ3VMKUXBNtGalv0/KRE=
87	NO	Oslo	CANARYMASK_p87@example.com	CANARYMASK_p0087	1974-04-10	CANARYCOL_p	t	airlock:1:4QkyHGuUnM9px0dOID0IhVsjYrxtC1Bep5F7UpgjaWikh457iexrA4XdRIE/f7FDpWlgJVWHiuyKtjVykHaVQ5hN2dQn2C3T7CsWNvr74TvXZWuNHJQ=	airlock:1:4QhvAP5Vv6q+sGOI2dpXPI5t0RWlxPYVdvGemwXh37CrlxWfUqrRQSTRTnJCH1B53wtfYY10ABc1pR/6wWM=	airlock:1:4QgyHGuUa4XPKXLejHjTNlpmF8vuq3jWkdkvs/iHlr9uA1zUjm144uoO7WaXho2pfgYTRit8lYOETy6RCCk=
88	SE	Lund	CANARYMASK_p88@example.com	CANARYMASK_p0088	1974-07-19	CANARYCOL_p	t	airlock:1:4QkyHGuUkSZb2IikXslVEsVk4PiWQZ9n5+dFO8JRTU0ms9p+lxnJajswrB/zU4NUiDoTptCtRQ4T966FmWm/W3aEoMFKFjKqTMeL5JNqw917oXZUbcQ=	airlock:1:4QhvAP5VJ3mf77HMKNQjCgjp6AG3mHG7Nf9rg5rULDWBH+Sk+V2mqwbfcWPvDaWv7nXgAgE2DEU5Tn+PpTQ=	airlock:1:4QgyHGuUw1luElK2a3KrE5HG75yaRtiXUDsY3yfI2b1hgowUTAVII80f8Q+/LF1oGBrFROMaApcoY5WyPkQ=
89	DK	Bergen	CANARYMASK_p89@example.com	CANARYMASK_p0089	1974-10-27	CANARYCOL_p	t	airlock:1:4QkyHGuUbx0fxabvAvPLs6SEkx25QP+TiUQE3kVDHIIduCOoBYkId+jj9dbIYZauJHMqI2NYjELkBkHpsFLO7B2+C0+jVP+f4v+jK2ZxBZIlY3GrjLc=	airlock:1:4QhvAP5VxD2oNfBUggA/5hV3A0zPtVkcQEYHKh15pRHjTCCVAZJSpkx+m4niEdTVeRSnLyUUGvR2ODvycgc=	airlock:1:4QgyHGuUUaLJ76/wqcLJM1PVV+lj+/mSl0x4qgeo1v1WashYD37wzb0u4KEA0WfFBd1EF7ETMlgMYwqE6ns=
90	CANARYROW_p	CANARYROW_p	CANARYROW_p90@example.com	CANARYROW_p0090	1975-02-04	CANARYCOL_p	f	airlock:1:4QkyHGuUZVq4iPWWNbrJLTPNTy69PWQ3EzuFWvgFRQyeFj6z+lsmWgjWWDr3cCD0jEBjWAP8VsXDmw0mVDXQHzOB+kExhw==	airlock:1:4QhvAP5V4XtV16Rgruusz+EF65nE0z0p5ajWteEXcHq/dxQ4ODM06cESqg/v/0GaOWuwnjSJwPZFW6nUB2A=	airlock:1:4QgyHGuUTFBSfiq+Uz0MmXvFQFDPyijbCuJRtGxWkgkZeHcOaXxLk1Ok2i55zFioTozRzuWA5vQNRlwvhGo=
91	SE	Lund	CANARYMASK_p91@example.com	CANARYMASK_p0091	1975-05-15	CANARYCOL_p	t	airlock:1:4QkyHGuUQWHIezeYUauHcqWHlMnBbNv442Q4o6fmEIHXQcodkHCtr7IHu49aUPCxvR/KeHD0rzgxMhY0rwDfk21GwBtyF+qejmvqhZPz6Sx1NmM9us4=	airlock:1:4QhvAP5VB4MazXbsW0Yuf3m1j7VAhy02WhIgzLRwC4ZunymWpapeYRvPJC/GfOVE+fdRSxMijflzPrDo4MU=	airlock:1:4QgyHGuUCQnNfQDZJze1eB+6O7vYr0O5xHNUIJGMOeUAH8jbMxs9dNS8yvy/g41DbizYGGJVFagb6vExzLw=
92	DK	Bergen	CANARYMASK_p92@example.com	CANARYMASK_p0092	1975-08-23	CANARYCOL_p	t	airlock:1:4QkyHGuUL+ol8JZp/Z0gLlKDQ6JtiOY1ZEfquj6BX30Ff1EuiJ2XOIu60mI+Eo/TcwiSGC8kbck4oZ/JwmvgTpGGxXntcB5tM+mvhgoCd5hH5iJ9I0w=	airlock:1:4QhvAP5VHAEEYiCZlQx/VQD5rcJa8ODG46p+z0j43h/m1PdsYDRXGqMR+pO8txwQ0pahNIQHwWqiaTOVcHY=	airlock:1:4QgyHGuUoe8RbZgOXprs/q++RM/yIaL18qOoBKX0V1UF9Xa2389ZXasLZ+h0M2OJO57z8XK8/pBKzv8TMjM=
93	NO	Oslo	CANARYMASK_p93@example.com	CANARYMASK_p0093	1975-12-01	CANARYCOL_p	t	airlock:1:4QkyHGuUeJmTJGqpfr6yFoEQggvU/CFbNu6wR5wZLgpEiRqw7Bm5Jbi+LewlUlekrz7zF2O8kuvgecE564U6mDTYPM8kVjihDGnEfHajYMP5m1xwnqA=	airlock:1:4QhvAP5Vrg6QFlM/wmYXTE99opW4oOf80QRMaSAqiuYSN5ZdT7ii2llGwLReSWS4lbwBj0W6IOXUTKmp6uw=	airlock:1:4QgyHGuUmA0879Kq8i2mbhSbQfOOWRExjWm+dknwxGZwTOTYSTFZq7b0HZrfS5V2YqkMfw9WAYHdwlU+dGg=
94	SE	Lund	CANARYMASK_p94@example.com	CANARYMASK_p0094	1976-03-10	CANARYCOL_p	t	airlock:1:4QkyHGuUDr7RzR+t2zco9xhbK/TApJis80j2IXVaKSlo6aUyR4LSZLv21Jrpjrvdpi9vlQ65cMWVHt2HGEA/EuF0t4TMpSLqEzXw18Fl4O/7aJrNCiI=	airlock:1:4QhvAP5V6onDFYB/DGSJ3tOhlnJSZFJ2bnBoqmWE2aQmP7wX7HCvmK0hT7YAZ9MrYrksjBx1owCRQdbsNKs=	airlock:1:4QgyHGuU47QC6lEyRQERkdQjVwZPjvyDUh/X6QVI9wTwRhoCZe4UgZEAZyJYniVoRVdifk+mMaKrdosT+e0=
95	DK	Bergen	CANARYMASK_p95@example.com	CANARYMASK_p0095	1976-06-18	CANARYCOL_p	t	airlock:1:4QkyHGuUZU3V5to4nvXxjznL+yh0JyYfc6Xjg/+fLKv8nsv7nrd5zMXHvDjrqqbkQbvibOhrL9V512UZ0miSJX68EUpZV6G5M0hhUXwrctE7JSle1bo=	airlock:1:4QhvAP5VPzlf2uu7eq2ktVRKyjZsz5vus3DWwpZeXLX96CJjXFoXeBjkAJVD/n2KF3cw2vpjeMAi6fxGKOk=	airlock:1:4QgyHGuUUdIEcZp4b86UfA9WQncA3T6rI8+M5MIcZAWbwNEfFRehG4gs/URO/UwVSpg3pc4qme4DWQL2eZY=
96	NO	Oslo	CANARYMASK_p96@example.com	CANARYMASK_p0096	1976-09-26	CANARYCOL_p	t	airlock:1:4QkyHGuUlSXV6D03UdSNiFOCVGRQbfDOMr9YzqUo0w4BqqnT7EZl51bYTtvdgKPryBGA8uNhqfKLKk/aKA6/VcVRkGEkLv7Lv9dzKPxkVPAWAEdRGuM=	airlock:1:4QhvAP5VRf6Up6NFw5xcnoLzYTLQTs5BhQbTkuHoL+DQKZIybpDfgc5JQK/0SaHQzZVWTTIl02TGxr6kCn8=	airlock:1:4QgyHGuUq6+DibbacZUutKGk+9A0PZ2N3Bg8+r0zOt08sDPxfatyQybSaaabDxkxUnr7IT9vy+SRouf21ZA=
97	SE	Lund	CANARYMASK_p97@example.com	CANARYMASK_p0097	1977-01-04	CANARYCOL_p	t	airlock:1:4QkyHGuUFfN7Ky75tyxnmhPh6rSg06Gb8puDOQomc9XPhdoUcA7p+8JVkrk7ussjvs7uAAtDczzRJW+r2YQAe+a2PXCoUrT+QxFTU7vtlVmLDh4Q814=	airlock:1:4QhvAP5VDclD4rHojfETAmPXNi2S6UW7XPUGdrKQJHhs77JCPC0m16owZXjwu6lFTA8UZ03FvH4SVegOZWo=	airlock:1:4QgyHGuUQ/n4gMzgzZ0oeahxUqZ7z4b52zNeF7195x0bLssMiqE+6mDx+ZYqsN/7VjZztkk+jm3B8g1/7g0=
98	DK	Bergen	CANARYMASK_p98@example.com	CANARYMASK_p0098	1977-04-14	CANARYCOL_p	t	airlock:1:4QkyHGuUme2w8sOjcH9YOBLnywjH/SWU5pHr18wfkWxCze+Of7qhcslnrKWMmXS5ZQNBGg5hVTm7n3cKrzvZHypN5Kei+BGdOMPZGLOXX7p6JlErZNw=	airlock:1:4QhvAP5VEgVgUbEkALBqeldFQTMBMAA+kBpG7R6fCTQvgABrNCeFjvNDmE3LiUleXlPhXOBhWvaVuUOOb/U=	airlock:1:4QgyHGuUr8JnP2tTS4A5GnhW5GqBK32yN4dR2kHcVxYR9kdt34HYXdVXH3trxQeNZ2VXRuVBurH1nRSQiq8=
99	NO	Oslo	CANARYMASK_p99@example.com	CANARYMASK_p0099	1977-07-23	CANARYCOL_p	t	airlock:1:4QkyHGuUl50pQxhtkamYeWoslaT//ME0RIJ9xIDNU3hdrTQiJg18krY15+jxCPBoiyWWYdHlMmYkxPWWOPDDdc1mcN1u6VQ2yCuQg89ATRFhmYi0MVE=	airlock:1:4QhvAP5V7W0oJFux7o3geyN4H01AEcy0d64h1RKkk8fJFd7MrgOQUerIOaksSbqma3kzFVZyU82sEJlLBIE=	airlock:1:4QgyHGuUqHT9BiUn/59VOhttjeGOWNYuKHzth9s2lTaCpdx8kKtphVKuCZdfHy2qG0mrbnzKeRobAdpuK5k=
100	CANARYROW_p	CANARYROW_p	CANARYROW_p100@example.com	CANARYROW_p0100	1977-10-31	CANARYCOL_p	f	airlock:1:4QkyHGuUKSYj8U/ntkyxh8IYIIUNNYxJWAGmbXblE9tz9T03Vwq7eu2HkqLYdr4Za8xrpBn+jtDMYgWsgFQla50R3SaZjg==	airlock:1:4QhvAP5VyJPEBL/NTylVg5rjBnDn/qEM2iot1JTMVaNoVOcmT0Z5n/Uzfjkvze1ZKfoaEVbORJ05dQ/WRMU=	airlock:1:4QgyHGuUpgoxBmsr9gl+YWaLEZZ7Lej48uNmyJO3NL+s3a4DkEQF5E84SAAXr8KWHUGaejf3L/TnTHOPLv4=
\.


--
-- Name: rule_id_seq; Type: SEQUENCE SET; Schema: airlock_catalog; Owner: postgres
--

SELECT pg_catalog.setval('airlock_catalog.rule_id_seq', 11, true);


--
-- Name: scope_id_seq; Type: SEQUENCE SET; Schema: airlock_catalog; Owner: postgres
--

SELECT pg_catalog.setval('airlock_catalog.scope_id_seq', 2, true);


--
-- Name: subprocessor_id_seq; Type: SEQUENCE SET; Schema: airlock_catalog; Owner: postgres
--

SELECT pg_catalog.setval('airlock_catalog.subprocessor_id_seq', 2, true);


--
-- Name: consents consents_pkey; Type: CONSTRAINT; Schema: public; Owner: app
--

ALTER TABLE ONLY public.consents
    ADD CONSTRAINT consents_pkey PRIMARY KEY (customer);


--
-- Name: customers customers_pkey; Type: CONSTRAINT; Schema: public; Owner: app
--

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (id);


--
-- Name: SCHEMA acme; Type: ACL; Schema: -; Owner: airlock_view_owner
--

GRANT USAGE ON SCHEMA acme TO acme;


--
-- Name: SCHEMA airlock; Type: ACL; Schema: -; Owner: postgres
--

GRANT USAGE ON SCHEMA airlock TO app;


--
-- Name: SCHEMA airlock_scope; Type: ACL; Schema: -; Owner: airlock_view_owner
--

REVOKE ALL ON SCHEMA airlock_scope FROM postgres;
GRANT ALL ON SCHEMA airlock_scope TO airlock_view_owner;


--
-- Name: SCHEMA globex; Type: ACL; Schema: -; Owner: airlock_view_owner
--

GRANT USAGE ON SCHEMA globex TO globex;


--
-- Name: TABLE customers; Type: ACL; Schema: public; Owner: app
--

GRANT SELECT ON TABLE public.customers TO clerk;


--
-- Name: COLUMN customers.id; Type: ACL; Schema: public; Owner: app
--

GRANT SELECT(id) ON TABLE public.customers TO airlock_view_owner;


--
-- Name: COLUMN customers.country; Type: ACL; Schema: public; Owner: app
--

GRANT SELECT(country) ON TABLE public.customers TO airlock_view_owner;


--
-- Name: COLUMN customers.city; Type: ACL; Schema: public; Owner: app
--

GRANT SELECT(city) ON TABLE public.customers TO airlock_view_owner;


--
-- Name: COLUMN customers.email; Type: ACL; Schema: public; Owner: app
--

GRANT SELECT(email) ON TABLE public.customers TO airlock_view_owner;


--
-- Name: COLUMN customers.phone; Type: ACL; Schema: public; Owner: app
--

GRANT SELECT(phone) ON TABLE public.customers TO airlock_view_owner;


--
-- Name: COLUMN customers.born; Type: ACL; Schema: public; Owner: app
--

GRANT SELECT(born) ON TABLE public.customers TO airlock_view_owner;


--
-- Name: COLUMN customers.consent; Type: ACL; Schema: public; Owner: app
--

GRANT SELECT(consent) ON TABLE public.customers TO airlock_view_owner;


--
-- Name: COLUMN customers.ssn; Type: ACL; Schema: public; Owner: app
--

GRANT SELECT(ssn) ON TABLE public.customers TO airlock_view_owner;


--
-- Name: COLUMN customers.pay; Type: ACL; Schema: public; Owner: app
--

GRANT SELECT(pay) ON TABLE public.customers TO airlock_view_owner;


--
-- Name: TABLE customers; Type: ACL; Schema: acme; Owner: airlock_view_owner
--

GRANT SELECT ON TABLE acme.customers TO acme;


--
-- Name: TABLE customers; Type: ACL; Schema: globex; Owner: airlock_view_owner
--

GRANT SELECT ON TABLE globex.customers TO globex;


--
-- Name: TABLE consents; Type: ACL; Schema: public; Owner: app
--

GRANT SELECT ON TABLE public.consents TO clerk;


--
-- PostgreSQL database dump complete
--

\unrestrict GBgwQK3eTUb2UuFiFnoKpzaFcTZZ4RDm5kPRvqhrNOsW31S4pveqAPQhd7mZL7A

