/* Another library in the same server, for the tests: it hooks what we hook, and does it well or badly. */
#include "postgres.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "optimizer/planner.h"
#include "tcop/utility.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

/* libpq/libpq.h, which wants the headers of every library that the server was built with */
typedef struct
{
	void (*comm_reset) (void);
	int (*flush) (void);
	int (*flush_if_writable) (void);
	bool (*is_send_pending) (void);
	int (*putmessage) (char msgtype, const char *s, size_t len);
	void (*putmessage_noblock) (char msgtype, const char *s, size_t len);
} PQcommMethods;
extern PGDLLIMPORT const PQcommMethods *PqCommMethods;

PGDLLEXPORT void _PG_init(void);

/* what it leaves out: "start", "run", "planner" or nothing */
static char *skip = "";
static ExecutorStart_hook_type next_start;
static ExecutorRun_hook_type next_run;
static planner_hook_type next_planner;
static ProcessUtility_hook_type next_utility;
static const PQcommMethods *first;

static bool skips(const char *what) { return strcmp(skip, what) == 0; }

static void start(QueryDesc *desc, int flags)
{
	if (next_start && !skips("start"))
		next_start(desc, flags);
	else
		standard_ExecutorStart(desc, flags);
}

#if PG_VERSION_NUM >= 180000
static void run(QueryDesc *desc, ScanDirection direction, uint64 count)
{
	if (next_run && !skips("run"))
		next_run(desc, direction, count);
	else
		standard_ExecutorRun(desc, direction, count);
}
#else
static void run(QueryDesc *desc, ScanDirection direction, uint64 count, bool once)
{
	if (next_run && !skips("run"))
		next_run(desc, direction, count, once);
	else
		standard_ExecutorRun(desc, direction, count, once);
}
#endif

static PlannedStmt *plan(Query *query, const char *text, int options, ParamListInfo params)
{
	if (next_planner && !skips("planner"))
		return next_planner(query, text, options, params);
	return standard_planner(query, text, options, params);
}

static void utility(PlannedStmt *stmt, const char *text, bool read_only, ProcessUtilityContext context,
					ParamListInfo params, QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	if (next_utility && !skips("utility"))
		next_utility(stmt, text, read_only, context, params, env, dest, qc);
	else
		standard_ProcessUtility(stmt, text, read_only, context, params, env, dest, qc);
}

void _PG_init(void)
{
	first = PqCommMethods;
	DefineCustomStringVariable("neighbour.skip", "", NULL, &skip, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	next_start = ExecutorStart_hook;
	ExecutorStart_hook = start;
	next_run = ExecutorRun_hook;
	ExecutorRun_hook = run;
	next_planner = planner_hook;
	planner_hook = plan;
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = utility;
}

/* puts back the send methods that were there when the server started */
PG_FUNCTION_INFO_V1(unhook);
Datum unhook(PG_FUNCTION_ARGS)
{
	PqCommMethods = first;
	PG_RETURN_VOID();
}

/* puts methods in front of whatever is there, which pass everything on */
static const PQcommMethods *behind;
static PQcommMethods front;
static int pass(char type, const char *s, size_t len) { return behind->putmessage(type, s, len); }
PG_FUNCTION_INFO_V1(hook);
Datum hook(PG_FUNCTION_ARGS)
{
	behind = PqCommMethods;
	front = *behind;
	front.putmessage = pass;
	PqCommMethods = &front;
	PG_RETURN_VOID();
}
