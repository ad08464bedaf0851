//! Tables: CSV files with a header, and the preprocessing that makes numbers of them (cargo feature `tables`).
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use wgrad_data::table::{Options, Schema, Table, Targets};
//! let text = "area,city,price\n50,Bonn,100\n70,Cologne,150\n90,Bonn,170\n110,Cologne,230\n";
//! let table = Table::parse(text.as_bytes(), "flats.csv".as_ref(), None)?;
//! let schema = Schema::fit(&table, &[0, 1, 2], &Options::new("price"))?;
//! assert_eq!(schema.feature_names(), ["area", "city=Bonn", "city=Cologne"]);
//! // The last row was not looked at, and is encoded by what the first three say.
//! let test = schema.encode(&table, &[3])?;
//! assert_eq!((test.x.len(), schema.is_classification()), (3, false));
//! assert!(matches!(test.y, Targets::Numbers(values) if values.len() == 1));
//! # Ok(())
//! # }
//! ```
//!
//! How a file is read:
//! - It is UTF-8 with or without a byte order mark, and its first record names the columns. Fields are separated by commas, semicolons or
//!   tabs, whichever comes first in that record, and may stand in quotes, which may hold separators, line breaks and doubled
//!   quotes. Space around a field is taken off. Lines without anything are left out.
//! - An empty field is missing, and so is one of [`Options::missing_markers`], in any column.
//! - A column is one of numbers if all its values are decimal numbers (`-1.5`, `2e-3`; neither `inf` nor `nan`) and none has
//!   leading zeros: `007` is a code. Any other column is one of categories, but where nine values of ten are numbers, the others are taken
//!   for slips. [`Options::declared`] says otherwise by name. A slip, and a value of another kind than is declared, is an error that names
//!   its line and column.
//! - The target is a class if it is one of categories, or if its values are whole numbers, at most 20 different ones and each twice
//!   in the mean at least. Otherwise it is a number. [`Options::task`] says otherwise.
//!
//! The rows are split before anything is fitted: [`Table::cells`] of the target is what a split can be stratified by.
//! [`Schema::fit`] looks at kinds in all rows, and takes means, scales and categories from the rows that it is given: those of
//! the training part. The [`Schema`] then is all that a prediction needs, as JSON for the model's file.

mod encode;
mod fit;
mod parse;
mod schema;
mod statistics;

pub use encode::{Encoded, Targets};
pub use fit::{Kind, Missing, Options, Scaling, Task};
pub use parse::Table;
pub use schema::{Column, Rule, Schema, Target, Unknown};
