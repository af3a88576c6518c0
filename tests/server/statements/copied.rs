//! COPY both ways, in every format: what comes in is sealed, what goes out is ciphertext, and ciphertext goes in only
//! where it was asked for.

use super::{decoded, Form, Matrix, FORMS, SENTINEL};
use crate::protocol::{Answer, Conn};

/// The data of a binary COPY.
fn binary(rows: &[Vec<Option<&[u8]>>]) -> Vec<u8> {
    let mut data = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for row in rows {
        data.extend_from_slice(&(row.len() as i16).to_be_bytes());
        for field in row {
            data.extend_from_slice(&field.map_or(-1, |f| f.len() as i32).to_be_bytes());
            data.extend_from_slice(field.unwrap_or_default());
        }
    }
    data.extend_from_slice(&(-1_i16).to_be_bytes());
    data
}

/// The fields of a binary COPY TO.
fn fields(data: &[u8]) -> Vec<Vec<Option<Vec<u8>>>> {
    let mut at = 19;
    let mut number = |n: usize| {
        at += n;
        data[at - n..at].to_vec()
    };
    let mut rows = Vec::new();
    loop {
        let count = number(2);
        let count = i16::from_be_bytes([count[0], count[1]]);
        if count < 0 {
            return rows;
        }
        let row = (0..count).map(|_| {
            let length = number(4);
            let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
            (length >= 0).then(|| number(length as usize))
        });
        rows.push(row.collect());
    }
}

impl Matrix {
    fn wrong(&mut self, case: &str, form: Form, problem: impl std::fmt::Debug) {
        self.wrong.push(format!("{case} × {form:?}: {problem:?}"));
    }

    /// After a COPY FROM: three values, sealed.
    fn came_in(&mut self, case: &str, form: Form, app: &mut Conn, schema: &str, value: &str, answer: Answer) {
        if answer.tags != ["COPY 4"] {
            return self.wrong(case, form, answer);
        }
        match self.look(app, schema, "t", "c", form, false, &[value]) {
            Ok(3) => {}
            other => self.wrong(case, form, other),
        }
    }

    /// Refused with this SQLSTATE, without the value in any field of the error.
    fn not_copied(&mut self, case: &str, form: Form, value: &str, code: &str, answer: Answer) {
        let shown = answer.error.as_ref().is_none_or(|e| e.text().contains(value));
        if answer.code() != code || shown {
            self.wrong(case, form, answer);
        }
    }
}

pub fn run(matrix: &mut Matrix) {
    for form in FORMS {
        for (case, options, separator) in [("COPY FROM, text", "", "\t"), ("COPY FROM, csv", "(FORMAT csv)", ",")] {
            let (mut app, schema) = matrix.session(form);
            let value = format!("{SENTINEL}.{}", matrix.cases);
            let null = if separator == "," { "" } else { "\\N" };
            let rows: String = [&*value, &value, &value, null]
                .iter()
                .enumerate()
                .map(|(i, v)| format!("{i}{separator}{v}\n"))
                .collect();
            let answer = app.copy_in(&format!("COPY t FROM STDIN {options}"), rows);
            matrix.came_in(case, form, &mut app, &schema, &value, answer);
        }

        let (mut app, schema) = matrix.session(form);
        let value = format!("{SENTINEL}.{}", matrix.cases);
        let ids = [0_i32, 1, 2, 3].map(i32::to_be_bytes);
        let row = |i: usize, v| vec![Some(&ids[i][..]), v];
        let text = Some(value.as_bytes());
        let rows = binary(&[row(0, text), row(1, text), row(2, text), row(3, None)]);
        let answer = app.copy_in("COPY t FROM STDIN (FORMAT binary)", rows);
        matrix.came_in("COPY FROM, binary", form, &mut app, &schema, &value, answer);

        // out: ciphertext in each format, the same that SELECT shows
        let shown = app.query("SELECT c FROM t WHERE c IS NOT NULL ORDER BY id").ok().first();
        for options in ["", "(FORMAT csv)"] {
            let lines =
                app.query(&format!("COPY (SELECT c FROM t WHERE c IS NOT NULL ORDER BY id) TO STDOUT {options}"));
            let lines: Vec<String> = lines.copied.iter().map(|l| l.trim_end().to_string()).collect();
            if lines != shown {
                matrix.wrong("COPY TO", form, (options, lines));
            }
        }
        let whole = app.query("COPY t TO STDOUT").copied.concat();
        if !shown.iter().all(|s| whole.contains(s.as_str())) || whole.contains(&value) {
            matrix.wrong("COPY t TO", form, whole);
        }
        let sent = fields(&app.query("COPY t (c) TO STDOUT (FORMAT binary)").copied_bytes);
        let sent: Vec<Vec<u8>> = sent.into_iter().filter_map(|row| row[0].clone()).collect();
        let stored: Vec<Vec<u8>> = shown.iter().filter_map(|s| decoded(s)).collect();
        if sent != stored {
            matrix.wrong("COPY TO, binary", form, sent);
        }

        // and in again, only where it was asked for
        let again: String = shown.iter().enumerate().map(|(i, s)| format!("{}\t{s}\n", 10 + i)).collect();
        let ids = [10_i32, 11, 12].map(i32::to_be_bytes);
        let rows: Vec<_> = stored.iter().zip(&ids).map(|(v, id)| vec![Some(&id[..]), Some(&v[..])]).collect();
        let answer = app.copy_in("COPY t FROM STDIN", &again);
        matrix.not_copied("COPY FROM of ciphertext", form, &shown[0], "22P02", answer);
        let answer = app.copy_in("COPY t FROM STDIN (FORMAT binary)", binary(&rows));
        matrix.not_copied("COPY FROM of ciphertext, binary", form, &shown[0], "22P02", answer);
        if app.query("SET airlock.encrypted_input = ciphertext").code() != "42501" {
            matrix.wrong("ciphertext mode without the privilege", form, "taken");
        }
        matrix.cluster.admin("GRANT SET ON PARAMETER airlock.encrypted_input TO app");
        app.query("SET airlock.encrypted_input = ciphertext").ok();
        for (case, answer) in [
            ("COPY FROM in ciphertext mode", app.copy_in("COPY t FROM STDIN", &again)),
            ("COPY FROM in ciphertext mode, of plaintext", app.copy_in("COPY t FROM STDIN", format!("90\t{value}\n"))),
            (
                "COPY FROM in ciphertext mode, of a plain binary",
                app.copy_in(
                    "COPY t FROM STDIN (FORMAT binary)",
                    binary(&[vec![Some(&91_i32.to_be_bytes()[..]), text]]),
                ),
            ),
        ] {
            if case == "COPY FROM in ciphertext mode" {
                if answer.tags != ["COPY 3"] {
                    matrix.wrong(case, form, answer);
                }
            } else {
                matrix.not_copied(case, form, &value, "22P02", answer);
            }
        }
        app.query("DELETE FROM t WHERE id >= 10").ok();
        let answer = app.copy_in("COPY t FROM STDIN (FORMAT binary)", binary(&rows));
        if answer.tags != ["COPY 3"] {
            matrix.wrong("COPY FROM in ciphertext mode, binary", form, answer);
        }
        app.query("RESET airlock.encrypted_input").ok();
        let back = app.query("SELECT c FROM t WHERE id >= 10 ORDER BY id").ok().first();
        if back != shown {
            matrix.wrong("ciphertext came back changed", form, back);
        }
        if let Err(problem) = matrix.look(&mut app, &schema, "t", "c", form, true, &[&value]) {
            matrix.wrong("ciphertext that came back", form, problem);
        }
        matrix.cluster.admin("REVOKE SET ON PARAMETER airlock.encrypted_input FROM app");
    }
}
