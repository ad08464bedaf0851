//! Tables: what is read, what is found, what is refused, and what a prediction makes of other tables.

use std::path::Path;

use wgrad_autograd::Gpu;
use wgrad_data::table::{
    Kind, Missing, Options, Rule, Scaling, Schema, Table, Target, Targets, Task, Unknown,
};
use wgrad_data::{Batches, Order};

fn parse(text: &str) -> wgrad_data::Result<Table> {
    Table::parse(text.as_bytes(), Path::new("t.csv"), None)
}

fn table(text: &str) -> Table {
    parse(text).unwrap()
}

fn all(table: &Table) -> Vec<usize> {
    (0..table.len()).collect()
}

fn fit(table: &Table, options: &Options) -> Schema {
    Schema::fit(table, &all(table), options).unwrap()
}

fn inputs(text: &str, change: impl FnOnce(&mut Options)) -> Vec<f32> {
    let table = table(text);
    let mut options = Options::new("y");
    options.scaling = Scaling::None;
    change(&mut options);
    fit(&table, &options).encode(&table, &all(&table)).unwrap().x
}

fn refusal<T: std::fmt::Debug>(result: wgrad_data::Result<T>, parts: &[&str]) {
    let error = result.unwrap_err().to_string();
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    assert!(error.lines().count() <= 2, "{error}");
}

fn close(got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{got:?}");
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() <= 1e-6 * want.abs().max(1.0), "{got} and {want}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_name() {
    for text in ["\u{feff}a,y\n1,2\n", "\u{feff}\"a\",y\r\n1,2\r\n"] {
        assert_eq!(table(text).names(), ["a", "y"]);
    }
}

#[test]
fn line_breaks_in_quotes_belong_to_the_field_and_lines_are_the_file_s() {
    let text = "a,b,y\n\"one\ntwo\",1,0\n\n\"x\ry\",\"2\r\n\",1\r\nz,bad,1\n";
    let table = table(text);
    assert_eq!((table.len(), table.cell(0, 0), table.cell(1, 0)), (3, "one\ntwo", "x\ry"));
    assert_eq!([0, 1, 2].map(|row| table.line(row, 0)), [2, 5, 8]);
    // The second column of the second row stands a line below the first one's beginning.
    assert_eq!((table.line(1, 1), table.line(1, 2)), (6, 6));
    let mut options = Options::new("y");
    options.declared.insert("b".to_owned(), Kind::Number);
    refusal(Schema::fit(&table, &[0, 1, 2], &options), &["t.csv, line 8", "\"b\"", "\"bad\"", "number"]);
}

#[test]
fn separators_are_found_from_the_header_or_given() {
    for text in ["a,b;c\n1,2\n", "\"a,x\";b\n1,5;2\n", "a\tb\n1,5\t2\n"] {
        assert_eq!(table(text).names().len(), 2, "{text:?}");
    }
    // A quote within a name is a part of it.
    assert_eq!(table("size (\")\tb\n1,5\t2\n").names(), ["size (\")", "b"]);
    let given = Table::parse(b"a|b,c\n1|2\n", Path::new("t.csv"), Some(b'|')).unwrap();
    assert_eq!(given.names(), ["a", "b,c"]);
}

#[test]
fn texts_that_are_no_tables_are_refused() {
    refusal(parse(""), &["line 1", "empty"]);
    refusal(parse("a,b\n"), &["no rows"]);
    refusal(parse("a,a\n1,2\n"), &["line 1", "two columns", "\"a\""]);
    refusal(parse("a,b\n1,2\n1,2,3\n"), &["line 3", "3 fields", "2 columns"]);
    refusal(parse("a,b\n\n1\n"), &["line 3", "1 fields"]);
    refusal(parse("a,b\n1,2\n3,\"x\n4,5\n"), &["line 3", "quote"]);
    refusal(parse("a,b\n1,2\n3, \"2.5\"\n"), &["line 3", "space", "quote"]);
    refusal(parse("a, \"b\"\n1,2\n"), &["line 1", "space", "quote"]);
    let latin = Table::parse(b"a,b\n1,2\nx\xe9,3\n", Path::new("t.csv"), None);
    refusal(latin, &["line 3", "UTF-8"]);
}

#[test]
fn a_column_without_a_name_is_called_by_its_number() {
    assert_eq!(table(",b\n1,2\n").names(), ["column 1", "b"]);
}

#[test]
fn kinds_are_found_from_all_rows() {
    let text = "num,exp,code,late,y\n-1,1e3,007,1,0.5\n2.5,.5,1,2,1.5\n3,-2E-1,2,x,2.5\n4,0,3,3,0.25\n";
    let schema = fit(&table(text), &Options::new("y"));
    let numbers: Vec<bool> =
        schema.columns.iter().map(|column| matches!(column.rule, Rule::Number { .. })).collect();
    assert_eq!(numbers, [true, true, false, false]);
    let Rule::Category { values, .. } = &schema.columns[2].rule else { unreachable!() };
    assert_eq!(values, &["007", "1", "2", "3"]);
    assert_eq!(schema.feature_names()[..4], ["num", "exp", "code=007", "code=1"]);
    // Numbers that overflowed are none of categories, unless they are declared to be.
    let text = "x,y\n1,0.5\ninf,1.5\n2,2.5\n";
    let mut options = Options::new("y");
    let error = Schema::fit(&table(text), &[0, 1, 2], &options).unwrap_err().to_string();
    assert!(error.contains("line 3") && error.contains("a finite number"), "{error}");
    options.declared.insert("x".to_owned(), Kind::Category);
    assert_eq!(fit(&table(text), &options).feature_names(), ["x=1", "x=2", "x=inf"]);
    // Nor are numbers with decimal commas.
    let text = "x;y\n1,5;0.5\n2;1.5\n3,25;2.5\n";
    let error = Schema::fit(&table(text), &[0, 1, 2], &Options::new("y")).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("1,5") && error.contains("decimal point"), "{error}");
    assert_eq!(fit(&table(text), &options).feature_names(), ["x=1,5", "x=2", "x=3,25"]);
    // Nor is a column with a slip among its numbers, until they are too many to be slips.
    let numbers = |n: usize| (0..n).map(|i| format!("{i},{i}.5\n")).collect::<String>();
    let text = format!("x,y\n{}12x,0.5\n", numbers(9));
    let error = Schema::fit(&table(&text), &[0, 1, 9], &Options::new("y")).unwrap_err().to_string();
    assert!(
        error.contains("line 11") && error.contains("12x") && error.contains("a decimal number"),
        "{error}"
    );
    // What is said to be a class may be anything.
    let classes = Options { task: Some(Task::Classification), ..Options::new("x") };
    assert_eq!(fit(&table(&text), &classes).classes().len(), 10);
    let mut missing = Options::new("y");
    missing.missing_markers.push("12x".to_owned());
    assert_eq!(fit(&table(&text), &missing).feature_names(), ["x"]);
    assert_eq!(fit(&table(&text), &options).feature_names().len(), 10);
    for other in ["12x,0.5\n13x,1.5\n", "007,0.5\n"] {
        let text = format!("x,y\n{}{other}", numbers(9));
        let schema = fit(&table(&text), &Options::new("y"));
        assert!(matches!(schema.columns[0].rule, Rule::Category { .. }), "{other}");
    }
}

#[test]
fn markers_stand_for_missing_values_and_can_be_changed() {
    let text = "a,y\nNA,0.5\nNone,1.5\nred,2.5\n,7.5\n";
    let by_default = fit(&table(text), &Options::new("y"));
    assert_eq!(by_default.feature_names(), ["a=red"]);
    let mut options = Options::new("y");
    options.missing_markers = vec!["red".to_owned()];
    let changed = fit(&table(text), &options);
    assert_eq!(changed.feature_names(), ["a=NA", "a=None"]);
    let encoded = changed.encode(&table(text), &[0, 1, 2, 3]).unwrap();
    assert_eq!((encoded.filled, encoded.x), (2, vec![1., 0., 0., 1., 1., 0., 1., 0.]));
}

#[test]
fn missing_values_are_filled_in_as_asked() {
    let text = "a,y\n1,.5\n1,.5\n4,.5\n10,.25\n,.5\n";
    let filled = |missing| inputs(text, |options| options.missing = missing)[4];
    assert_eq!(filled(Missing::Mean), 4.0);
    assert_eq!(filled(Missing::Median), 2.5);
    assert_eq!(filled(Missing::MostFrequent), 1.0);
    let table = table(text);
    let mut options = Options::new("y");
    options.missing = Missing::DropRow;
    let kept = fit(&table, &options).encode(&table, &all(&table)).unwrap();
    assert_eq!((kept.rows, kept.dropped, kept.x.len()), (vec![0, 1, 2, 3], 1, 4));
    // Rows that are left out have no say in means, scales and categories.
    let two = self::table("a,b,y\n1,red,.5\n3,red,1.5\n1000,,2.5\n5,blue,\n");
    let kept = fit(&two, &options).encode(&two, &all(&two)).unwrap();
    assert_eq!((kept.rows, kept.x), (vec![0, 1], vec![-1., 1., 1., 1.]));
    refusal(Schema::fit(&two, &[2, 3], &options), &["lacks a value"]);
    options.missing = Missing::Error;
    let schema = fit(&table, &options);
    refusal(schema.encode(&table, &all(&table)), &["line 6", "\"a\"", "missing"]);
}

#[test]
fn a_missing_target_is_an_error_or_its_row_is_left_out() {
    let table = table("a,y\n1,.5\n2,\n3,.25\n");
    let mut options = Options::new("y");
    refusal(fit(&table, &options).encode(&table, &[0, 1, 2]), &["line 3", "\"y\"", "target"]);
    options.missing = Missing::DropRow;
    assert_eq!(fit(&table, &options).encode(&table, &[0, 1, 2]).unwrap().rows, [0, 2]);
}

#[test]
fn scales_are_those_of_the_training_rows() {
    let table = table("a,b,y\n1,5,.5\n3,5,1.5\n100,6,9\n");
    let schema = Schema::fit(&table, &[0, 1], &Options::new("y")).unwrap();
    let encoded = schema.encode(&table, &[0, 1, 2]).unwrap();
    // Mean 2 and deviation 1; the second column is constant in the training rows.
    close(&encoded.x, &[-1., 0., 1., 0., 98., 1.]);
    assert!(matches!(&encoded.y, Targets::Numbers(y) if y[..2] == [-1.0, 1.0]), "{:?}", encoded.y);
    assert!((schema.unscale(1.0) - 1.5).abs() < 1e-12);
    let mut options = Options::new("y");
    options.scaling = Scaling::Range;
    let ranged = Schema::fit(&table, &[0, 1], &options).unwrap().encode(&table, &[0, 1, 2]).unwrap();
    close(&ranged.x, &[0., 0., 1., 0., 49.5, 1.]);
}

#[test]
fn a_constant_column_has_scale_1_however_its_mean_is_rounded() {
    let rows: String = (0..37).map(|i| format!("0.1,{i}.5\n")).collect();
    let schema = fit(&table(&format!("a,y\n{rows}")), &Options::new("y"));
    assert_eq!(schema.columns[0].rule, Rule::Number { offset: 0.1, scale: 1.0, fill: Some(0.1) });
}

#[test]
fn z_scores_are_scikit_learn_s() {
    // StandardScaler().fit_transform([[1.5], [2.25], [-3], [8], [0.125]]).
    let table = table("a,y\n1.5,.1\n2.25,.2\n-3,.3\n8,.4\n0.125,.5\n");
    let encoded = fit(&table, &Options::new("y")).encode(&table, &all(&table)).unwrap();
    for (got, want) in encoded.x.iter().zip(SCALED) {
        assert!((got - want).abs() < 1e-6, "{got} and {want}");
    }
}

const SCALED: [f32; 5] = [-0.076_522, 0.132_174, -1.328_698, 1.732_177, -0.459_131];

#[test]
fn the_target_tells_the_task() {
    let task = |values: &[&str]| {
        let rows: String = values.iter().enumerate().map(|(i, value)| format!("{i},{value}\n")).collect();
        fit(&table(&format!("a,y\n{rows}")), &Options::new("y"))
    };
    assert_eq!(task(&["yes", "no", "no"]).classes(), ["no", "yes"]);
    assert_eq!(task(&["10", "9", "10", "9"]).classes(), ["9", "10"]);
    assert_eq!(task(&["1", "1.0", "0", "0"]).classes(), ["0", "1"]);
    assert!(!task(&["1", "2", "3"]).is_classification());
    assert!(!task(&["1.5", "1.5", "2.5", "2.5"]).is_classification());
    let many: Vec<String> = (0..63).map(|i| (i % 21).to_string()).collect();
    assert!(!task(&many.iter().map(String::as_str).collect::<Vec<_>>()).is_classification());
    let asked = |text: &str, task| {
        let mut options = Options::new("y");
        options.task = Some(task);
        let table = table(text);
        Schema::fit(&table, &all(&table), &options)
    };
    assert!(!asked("a,y\n1,0\n2,0\n3,1\n4,1\n", Task::Regression).unwrap().is_classification());
    assert_eq!(asked("a,y\n1,0.5\n2,1.5\n", Task::Classification).unwrap().classes(), ["0.5", "1.5"]);
    refusal(asked("a,y\n1,b\n2,c\n", Task::Regression), &["line 2", "\"y\"", "\"b\""]);
    refusal(asked("a,y\n1,b\n2,b\n", Task::Classification), &["\"y\"", "one class"]);
}

#[test]
fn classes_become_numbers() {
    let table = table("a,y\n1,cat\n2,dog\n3,cat\n");
    let schema = fit(&table, &Options::new("y"));
    assert_eq!(schema.encode(&table, &[0, 1, 2]).unwrap().y, Targets::Classes(vec![0, 1, 0]));
    refusal(schema.encode(&self::table("a,y\n1,cow\n"), &[0]), &["line 2", "\"cow\"", r#""cat", "dog""#]);
    assert_eq!(
        schema.target,
        Target::Classes { name: "y".into(), classes: vec!["cat".into(), "dog".into()] }
    );
    // Texts among which some are numbers each mean themselves.
    let table = self::table("a,y\n1,1\n2,1.0\n3,x\n");
    let schema = fit(&table, &Options::new("y"));
    assert_eq!(schema.encode(&table, &[0, 1, 2]).unwrap().y, Targets::Classes(vec![0, 1, 2]));
}

#[test]
fn a_prediction_takes_columns_by_name() {
    let train = table("a,city,y\n1,Bonn,.5\n3,Cologne,1.5\n");
    let schema = fit(&train, &Options::new("y"));
    let json = schema.to_json().unwrap();
    let schema = Schema::from_json(&json).unwrap();
    let other = schema.encode_inputs(&table("more,city,a\n9,Cologne,3\n9,Bonn,2\n")).unwrap();
    // The scaling is the training rows', not the new ones'.
    close(&other.x, &[1., 0., 1., 0., 1., 0.]);
    refusal(schema.encode_inputs(&table("city,b\nBonn,1\n")), &["t.csv", "\"a\"", "no column"]);
    refusal(schema.encode_inputs(&table("a,city\nx,Bonn\n")), &["line 2", "\"a\"", "\"x\"", "number"]);
    refusal(
        schema.encode_inputs(&table("a,city\n1,Paris\n")),
        &["line 2", "\"Paris\"", r#""Bonn", "Cologne""#],
    );
    let mut options = Options::new("y");
    options.unknown = Unknown::Zeros;
    let zeros = fit(&train, &options).encode_inputs(&table("a,city\n2,Paris\n")).unwrap();
    close(&zeros.x, &[0., 0., 0.]);
}

/// Numbers that a quick reader of JSON takes for their neighbours, as damaged files found: the scaling would be another one.
#[test]
fn a_schema_comes_back_to_the_bit() {
    for text in ["a,y\n19446744073709446744073707,95516\n", "a,y\n0.1,1\n0.30000000000000004,3\n7.1,8\n"] {
        let table = table(text);
        let schema = fit(&table, &Options::new("y"));
        let back = Schema::from_json(&schema.to_json().unwrap()).unwrap();
        assert_eq!(back, schema);
        assert_eq!(back.encode_inputs(&table).unwrap().x, schema.encode_inputs(&table).unwrap().x);
    }
}

#[test]
fn schemas_that_would_give_no_numbers_are_refused() {
    let schema = fit(&table("a,y\n1,.5\n3,1.5\n"), &Options::new("y"));
    let json = schema.to_json().unwrap();
    assert_eq!(Schema::from_json(&json).unwrap(), schema);
    for (old, new) in [
        (r#""scale":1.0"#, r#""scale":0.0"#),
        (r#""scale":1.0"#, r#""scale":null"#),
        (r#""version":1"#, r#""version":2"#),
        (r#""columns":["#, r#""columns":[],"x":["#),
    ] {
        assert!(json.contains(old), "{json}");
        refusal(Schema::from_json(&json.replacen(old, new, 1)), &["schema"]);
    }
}

#[test]
fn columns_that_cannot_be_used_are_named() {
    let refused = |text: &str, change: fn(&mut Options), parts: &[&str]| {
        let table = table(text);
        let mut options = Options::new("y");
        change(&mut options);
        refusal(Schema::fit(&table, &all(&table), &options), parts);
    };
    refused("a,b,y\n1,,.5\n2,NA,1.5\n", |_| (), &["\"b\"", "no values"]);
    refused("a,z\n1,.5\n", |_| (), &["no column \"y\"", r#""a", "z""#]);
    refused("y\n.5\n", |_| (), &["beside the target"]);
    let ignore: fn(&mut Options) = |options| options.ignored = vec!["b".to_owned()];
    refused("a,y\n1,.5\n", ignore, &["no column \"b\""]);
    let rows: String = (0..101).map(|i| format!("x{i},{i}.5\n")).collect();
    refused(&format!("a,y\n{rows}"), |_| (), &["\"a\"", "101 categories"]);
    let table = table("a,y\n1,.5\n");
    refusal(Schema::fit(&table, &[], &Options::new("y")), &["rows"]);
    refusal(Schema::fit(&table, &[1], &Options::new("y")), &["rows"]);
}

#[test]
fn errors_stand_on_a_line_whatever_the_names_are() {
    let train = table("\"a\nb\",y\n\"u\nv\",.5\n\"w\r\nx\",1.5\n");
    let schema = fit(&train, &Options::new("y"));
    refusal(schema.encode_inputs(&table("\"a\nb\"\n\"p\nq\"\n")), &["line 3", r#"one of "u\nv""#]);
    refusal(schema.encode_inputs(&table("a\n1\n")), &["no column"]);
    refusal(Schema::fit(&train, &[0], &Options::new("z\nz")), &["no column", r#""a\nb", "y""#]);
    refusal(Schema::from_json("{\"a\\nb\": 1}"), &["schema"]);
}

#[test]
fn rows_are_split_by_the_texts_of_a_column() {
    let rows: String =
        (0..20).map(|i| format!("{i},{}\n", if i % 4 == 0 { "few" } else { "many" })).collect();
    let table = table(&format!("a,y\n{rows}"));
    let split = wgrad_data::split::stratified_split(&table.cells("y").unwrap(), 0.4, 1).unwrap();
    assert_eq!(split.test.iter().filter(|&&row| table.cell(row, 1) == "few").count(), 2);
    assert_eq!(split.test.len(), 8);
    refusal(table.cells("z"), &["no column \"z\""]);
}

#[test]
fn ignored_columns_are_left_out() {
    let text = "id,a,y\nx1,1,.5\nx2,2,1.5\n";
    assert_eq!(inputs(text, |options| options.ignored = vec!["id".to_owned()]), [1.0, 2.0]);
}

#[test]
fn batches_hold_the_encoded_rows() {
    let gpu = Gpu::builder().poison().quiet().build().unwrap();
    let table = table("a,b,y\n1,2,.5\n3,4,1.5\n5,6,2.5\n");
    let mut options = Options::new("y");
    (options.scaling, options.target_scaling) = (Scaling::None, Scaling::None);
    let batches = fit(&table, &options).encode(&table, &[0, 1, 2]).unwrap().batches(&gpu).unwrap();
    batches.set_order(Order::Own).unwrap();
    let batch = batches.batch(1, 2).unwrap();
    assert_eq!((batch.x.shape(), batch.y.shape()), (&[2, 2][..], &[2, 1][..]));
    assert_eq!(batch.x.to_vec().unwrap(), [3., 4., 5., 6.]);
    assert_eq!(batch.y.to_vec().unwrap(), [1.5, 2.5]);
    let classes = self::table("a,y\n1,u\n2,v\n");
    let encoded = fit(&classes, &Options::new("y")).encode(&classes, &[0, 1]).unwrap();
    let batch = encoded.batches(&gpu).unwrap().batch(0, 2).unwrap();
    assert_eq!((batch.y.shape(), batch.y.to_vec_as::<i32>().unwrap()), (&[2][..], vec![0, 1]));
}
