//! Statements prepared by the protocol and executed often: each execution draws its nonces anew, whatever the plan.

use super::{Input, Matrix, FORMS, INPUTS, SENTINEL, TEXT};

/// More often than a plan is custom by default.
const TIMES: usize = 8;

pub fn run(matrix: &mut Matrix) {
    for form in FORMS {
        for mode in ["auto", "force_generic_plan", "force_custom_plan"] {
            for input in INPUTS {
                let (mut app, schema) = matrix.session(form);
                let value = format!("{SENTINEL}.{}", matrix.cases);
                let case = format!("prepared by the protocol × {form:?} × {input:?} × {mode}");
                app.query(&format!("SET plan_cache_mode = {mode}; CREATE SEQUENCE s")).ok();
                let given = if input == Input::Literal { format!("'{value}'") } else { "$1".into() };
                let sql = format!("INSERT INTO t SELECT nextval('s'), {given} FROM generate_series(1, 2)");
                let types: &[u32] = if input == Input::Typed { &[TEXT] } else { &[] };
                app.parse_typed("p", &sql, types);
                for _ in 0..TIMES {
                    let parameters = [Some(&*value)];
                    let given = &parameters[..usize::from(input != Input::Literal)];
                    app.bind_in(i16::from(input == Input::Binary), "", "p", given).execute("", 0);
                }
                let answer = app.sync();
                if answer.error.is_some() {
                    matrix.wrong.push(format!("{case}: {:?}", answer.error));
                    continue;
                }
                match matrix.look(&mut app, &schema, "t", "c", form, false, &[&value]) {
                    Ok(found) if found == 2 * TIMES => {}
                    other => matrix.wrong.push(format!("{case}: {other:?}")),
                }
            }
        }
    }
}
