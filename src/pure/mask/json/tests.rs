use proptest::prelude::*;
use serde_json::{Map, Value as Json};

use super::*;

fn paths(keep: &[&str]) -> Result<Paths, (usize, String)> {
    Paths::parse(&keep.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>())
}

fn mask(keep: &[&str], text: &str) -> String {
    mask_json(&paths(keep).unwrap(), text)
}

#[test]
fn examples_of_the_definition() {
    let n = ["$.n"];
    assert_eq!(mask(&n, r#"{"ssn":"1","n":2}"#), r#"{"n":2}"#);
    assert_eq!(mask(&n, "{}"), "{}");
    assert_eq!(mask(&n, "[1,2]"), "null");
    assert_eq!(mask(&n, r#""secret""#), "null");
    let document = r#"{"items":[{"sku":"A","price":3},{"price":4},7]}"#;
    assert_eq!(mask(&["$.items[*].sku"], document), r#"{"items":[{"sku":"A"},{}]}"#);
    let document = r#"{"addr":{"city":"Oslo"}}"#;
    assert_eq!(mask(&["$.addr"], document), "{}");
    assert_eq!(mask(&["$.addr.**"], document), document);
    let document = r#"{"plan":"pro","items":[{"sku":"A"}],"ssn":"1"}"#;
    assert_eq!(mask(&["$.plan", "$.items[*].sku"], document), r#"{"plan":"pro","items":[{"sku":"A"}]}"#);
}

#[test]
fn an_object_is_entered_by_name_and_an_array_by_item() {
    for (path, document, kept) in [
        ("$", "7", "7"),
        ("$", "{}", "null"),
        ("$", "[]", "null"),
        ("$.**", "7", "7"),
        ("$.**", "[]", "[]"),
        ("$[*]", "[1,[2],{\"a\":3},null,\"s\"]", "[1,null,\"s\"]"),
        ("$[*]", "[]", "[]"),
        ("$[*]", "{\"a\":1}", "null"),
        ("$[*][*]", "[[1,[2]],[],3]", "[[1],[]]"),
        ("$[*].a", "[[{\"a\":1}],{\"a\":1},{\"b\":1}]", "[{\"a\":1},{}]"),
        ("$[*].**", "[1,[2,{\"a\":3}]]", "[1,[2,{\"a\":3}]]"),
        ("$.a.**", "{\"a\":null,\"b\":1}", "{\"a\":null}"),
        ("$.a.b", "{\"a\":1,\"b\":2}", "{}"),
        ("$.a.b", "{\"a\":[{\"b\":1}]}", "{}"),
        ("$.a.b", "{\"a\":{\"b\":1,\"c\":2},\"b\":3}", "{\"a\":{\"b\":1}}"),
        ("$.a[*]", "{\"a\":{\"b\":1}}", "{}"),
    ] {
        assert_eq!(mask(&[path], document), kept, "{path} of {document}");
    }
    // several paths through one place add up
    let document = r#"{"a":{"x":1,"y":[2,{"z":3}],"w":4},"b":5}"#;
    assert_eq!(mask(&["$.a.y[*].z", "$.a.x", "$.a.y[*]"], document), r#"{"a":{"x":1,"y":[2,{"z":3}]}}"#);
    assert_eq!(mask(&["$.a.x", "$.a.**"], document), r#"{"a":{"x":1,"y":[2,{"z":3}],"w":4}}"#);
    assert_eq!(mask(&[], "1"), "null");
    assert_eq!(mask(&[], "{}"), "null");
}

#[test]
fn order_digits_and_strings_stay_and_white_space_goes() {
    let document = " {\n\t\"z\" : 1.500 , \"a\":[ 1e400 , -0.0, 123456789012345678901234567890 ] ,\r\n \"é\" : \"\\u00e9 \\\" \\\\\" } ";
    let kept = r#"{"z":1.500,"a":[1e400,-0.0,123456789012345678901234567890],"é":"\u00e9 \" \\"}"#;
    assert_eq!(mask(&["$.**"], document), kept);
    assert_eq!(mask(&["$.a[*]", "$.z"], document), r#"{"z":1.500,"a":[1e400,-0.0,123456789012345678901234567890]}"#);
    assert_eq!(mask(&[r#"$."é""#], document), r#"{"é":"\u00e9 \" \\"}"#);
    // what looks like structure inside strings is none
    let document = r#"{"x":"]},\"n\":7,{[","n":"\\","\"n":1,"m":"{\"n\":9}"}"#;
    assert_eq!(mask(&["$.n"], document), r#"{"n":"\\"}"#);
    assert_eq!(mask(&[r#"$."\"n""#], document), r#"{"\"n":1}"#);
    assert_eq!(mask(&["$.**"], document), document);
}

#[test]
fn the_last_of_a_repeated_name_counts() {
    for (path, document, kept) in [
        ("$.n", r#"{"n":1,"n":2}"#, r#"{"n":2}"#),
        ("$.n", r#"{"n":1,"n":{"secret":2}}"#, "{}"),
        ("$.n", r#"{"n":{"secret":2},"n":1}"#, r#"{"n":1}"#),
        ("$.n.m", r#"{"n":{"m":1},"n":{}}"#, r#"{"n":{}}"#),
        ("$.n.m", r#"{"n":{"m":1,"m":2},"m":3,"n":{"m":4,"m":5}}"#, r#"{"n":{"m":5}}"#),
        ("$.n", r#"{"n":1,"\u006e":2,"x":{"n":1,"n":2}}"#, r#"{"\u006e":2}"#),
        ("$.n", r#"{"\u006E":1,"n":[]}"#, "{}"),
        ("$.**", r#"{"a":1,"b":{"c":1,"c":2,"d":3},"a":4}"#, r#"{"b":{"c":2,"d":3},"a":4}"#),
        ("$.**", r#"{"a":{"b":1,"b":2},"a":{"b":3}}"#, r#"{"a":{"b":3}}"#),
        ("$.**", r#"[{"a":1},{"a":2}]"#, r#"[{"a":1},{"a":2}]"#),
        ("$.**", r#"{"":1,"":2,"":3}"#, r#"{"":3}"#),
        ("$.**", r#"{"ab":1,"a":2,"abc":3,"ab":4}"#, r#"{"a":2,"abc":3,"ab":4}"#),
    ] {
        assert_eq!(mask(&[path], document), kept, "{path} of {document}");
    }
}

#[test]
fn names_are_compared_unescaped() {
    assert_eq!(mask(&["$.ab"], r#"{"a\u0062":1}"#), r#"{"a\u0062":1}"#);
    assert_eq!(mask(&[r#"$."a\u0062""#], r#"{"ab":1}"#), r#"{"ab":1}"#);
    assert_eq!(mask(&[r#"$."😀""#], r#"{"\ud83d\ude00":1}"#), r#"{"\ud83d\ude00":1}"#);
    assert_eq!(mask(&[r#"$."\ud83D\uDE00""#], r#"{"😀":1}"#), r#"{"😀":1}"#);
    let escapes = r#"{"\u0008\u000C\u000a\u000d\u0009/\u005c\u0022":1}"#;
    assert_eq!(mask(&[r#"$."\b\f\n\r\t\/\\\"""#], escapes), escapes);
    assert_eq!(mask(&[r#"$."\u0000""#], r#"{"\u0000":1,"\u00000":2}"#), r#"{"\u0000":1}"#);
    assert_eq!(mask(&[r#"$."""#], r#"{"":1,"a":2}"#), r#"{"":1}"#);
    // composed and decomposed forms differ, and so do cases
    assert_eq!(mask(&["$.\"\u{e9}\"", "$.N"], "{\"e\u{301}\":1,\"n\":2}"), "{}");
    // half a pair is in no path, is no other half, and stays in a subtree
    let halves = r#"{"\ud83d":1,"\ude00":2,"\ud83d\u0041":3,"\ud83d":4,"\ud83d\ud83d\ude00":5}"#;
    assert_eq!(mask(&["$.\"\u{fffd}\"", "$.A"], halves), "{}");
    let kept = r#"{"\ude00":2,"\ud83d\u0041":3,"\ud83d":4,"\ud83d\ud83d\ude00":5}"#;
    assert_eq!(mask(&["$.**"], halves), kept);
}

#[test]
fn deeper_than_64_is_null() {
    let nested = |open: &str, core: &str, close: &str, depth: usize| open.repeat(depth) + core + &close.repeat(depth);
    for (open, core, close) in [("[", "", "]"), ("[", "1", "]"), ("{\"a\":", "1", "}")] {
        let fits = nested(open, core, close, 64);
        assert_eq!(mask(&["$.**"], &fits), fits);
        for depth in [65, 200, 100_000] {
            assert_eq!(mask(&["$.**"], &nested(open, core, close, depth)), "null");
            assert_eq!(mask(&["$.**"], &open.repeat(depth)), "null");
        }
        // also where it would be dropped, which is then one level down
        let beside = |depth| format!("{{\"n\":1,\"x\":{}}}", nested(open, core, close, depth));
        assert_eq!(mask(&["$.n"], &beside(63)), "{\"n\":1}");
        for depth in [64, 200, 100_000] {
            assert_eq!(mask(&["$.n"], &beside(depth)), "null");
        }
    }
    let path = format!("${}", "[*]".repeat(64));
    let fits = nested("[", "7", "]", 64);
    assert_eq!(mask(&[&path], &fits), fits);
    assert_eq!(mask(&[&path], &nested("[", "7", "]", 63)), nested("[", "", "]", 63));
    // many beside one another are not deep
    let wide = format!("[{}1]", "[],".repeat(1000));
    assert_eq!(mask(&["$.**"], &wide), wide);
}

#[test]
fn what_is_no_json_is_null() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "[1,]",
        "{\"n\":1,}",
        "{\"n\" 1}",
        "{n:1}",
        "nul",
        "truefalse",
        "01",
        "1.",
        "+1",
        "NaN",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\t\"",
        "{\"n\":1} 2",
        "1 2",
        "{\"n\":1]",
        "[1}",
        "'a'",
        "\u{feff}1",
        "\u{a0}1",
        "{\"n\":1,,}",
        "[,]",
        "{\"n\":}",
        "\\",
        "\"\\\"",
        "{\"a\":\"\\",
        "-",
        "\0",
        ":",
        ",",
    ] {
        assert_eq!(mask(&["$.**", "$.n"], text), "null", "{text:?}");
    }
}

#[test]
fn longer_than_a_mebibyte_is_null() {
    let of = |len: usize| format!("\"{}\"", "x".repeat(len - 2));
    assert_eq!(mask(&["$"], &of(LIMIT)), of(LIMIT));
    assert_eq!(mask(&["$"], &of(LIMIT + 1)), "null");
}

#[test]
fn no_choice_of_names_is_slow() {
    // a name as long as half of the document beside many short ones, all alike but for the last character, all equal
    let long = "x".repeat(LIMIT / 2);
    let short = (0..40_000).map(|n| format!("\"x{n}\":1")).collect::<Vec<_>>().join(",");
    let equal = vec!["\"x\":1"; 80_000].join(",");
    for document in [format!("{{{short},\"{long}\":1}}"), format!("{{\"{long}\":1,{equal}}}"), format!("{{{equal}}}")] {
        let kept = mask(&["$.**"], &document);
        assert!(kept.ends_with(":1}") && kept.len() <= document.len());
        assert!(mask(&["$.x"], &document).len() <= 7);
    }
}

#[test]
fn paths_that_are_none() {
    for path in [
        "",
        "a",
        ".a",
        "$a",
        "$.",
        "$..a",
        "$.a.",
        "$.*",
        "$**",
        "$.**.a",
        "$.a.**[*]",
        "$[0]",
        "$[]",
        "$[*",
        "$.a b",
        "$.a-b",
        "$.é",
        "$.\"a",
        "$.\"\\ud800\"",
        "$.\"\\x\"",
        "$.\"a\"b",
        "$ .a",
        "$.a ",
        " $",
        "$[\"a\"]",
        "$$",
        "$.***",
    ] {
        let (index, message) = paths(&["$.ok", path, ""]).unwrap_err();
        assert_eq!(index, 1, "{path}");
        assert!(message.starts_with("path "), "{message}");
    }
    let deep = |steps: usize| format!("${}", ".a".repeat(steps));
    assert!(paths(&[&deep(64)]).is_ok());
    assert_eq!(paths(&[&deep(65)]).unwrap_err().0, 0);
    assert_eq!(paths(&[&deep(100_000)]).unwrap_err().0, 0);
    for path in ["$", "$.**", "$.a", "$._9", "$.9", "$[*]", "$[*].**", "$.\"a.b\".c", "$.\"\".**", "$.\"[*]\"[*]"] {
        assert_eq!(paths(&[path]).unwrap().keep(), [path]);
    }
}

/// The definition once more, on a tree: what the paths, as steps, keep of a value.
fn kept(paths: &[&[&str]], value: &Json) -> Option<Json> {
    let after = |step: &str| paths.iter().filter(|path| path.first() == Some(&step)).map(|path| &path[1..]).collect();
    let behind = |step: &str| -> Vec<&[&str]> { after(step) };
    if !behind(".**").is_empty() {
        return Some(value.clone());
    }
    match value {
        Json::Object(members) if paths.iter().any(|path| path.first().is_some_and(|step| *step != "[*]")) => {
            let stays =
                |(name, member): (&String, &Json)| Some((name.clone(), kept(&behind(&format!(".{name}")), member)?));
            Some(Json::Object(members.iter().filter_map(stays).collect::<Map<_, _>>()))
        }
        Json::Array(items) if !behind("[*]").is_empty() => {
            Some(Json::Array(items.iter().filter_map(|item| kept(&behind("[*]"), item)).collect()))
        }
        Json::Object(_) | Json::Array(_) => None,
        scalar => paths.iter().any(|path| path.is_empty()).then(|| scalar.clone()),
    }
}

/// Documents as text, with names that repeat, escapes and white space.
fn documents() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec!["1", "-2.50", "true", "null", "\"x\"", "\"}\\\"]\"", "{}", "[]", " 3 "]);
    leaf.prop_map(str::to_owned).prop_recursive(5, 60, 5, |inner| {
        let name = prop::sample::select(vec!["\"a\"", "\"b\" ", "\"\\u0061\"", "\"c\"", " \"\\u0062\""]);
        let member = (name, inner.clone()).prop_map(|(name, value)| format!("{name}:{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(" ,"))),
            prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{} }}", members.join(","))),
        ]
    })
}

proptest! {
    #[test]
    fn as_the_definition_says(
        text in documents(),
        keep in prop::collection::vec((prop::collection::vec(prop::sample::select(vec![".a", ".b", "[*]"]), 0..4), any::<bool>()), 0..4),
    ) {
        let steps: Vec<Vec<&str>> = keep.into_iter().map(|(mut steps, whole)| { steps.extend(whole.then_some(".**")); steps }).collect();
        let paths = Paths::parse(&steps.iter().map(|steps| format!("${}", steps.concat())).collect::<Vec<_>>()).unwrap();
        let masked = mask_json(&paths, &text);
        let tree = kept(&steps.iter().map(Vec::as_slice).collect::<Vec<_>>(), &serde_json::from_str(&text).unwrap());
        prop_assert_eq!(serde_json::from_str::<Json>(&masked).unwrap(), tree.unwrap_or(Json::Null));
        // twice is once
        prop_assert_eq!(mask_json(&paths, &masked), masked);
    }

    #[test]
    fn total_on_any_text(text in "\\PC{0,60}|[\\[\\]{}:,\"\\\\a1 -]{0,60}", path in "\\$[\\[\\]*.a\"]{0,12}") {
        let masked = mask_json(&paths(&["$.**"]).unwrap(), &text);
        prop_assert_eq!(masked == "null", serde_json::from_str::<IgnoredAny>(&text).is_err() || text.trim() == "null");
        let _ = Paths::parse(&[path]);
    }
}
