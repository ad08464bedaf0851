//! Matrix products: `matmul f32|f16 N`.

use wgrad::{DType, Gpu, MatmulOptions, Tensor};
use wgrad_testkit::reference;

use super::check::compare;
use super::values::{Operand, all, pick, some};
use super::{Case, Name};
use crate::Result;

pub fn case<'a>(gpu: &'a Gpu, name: &Name<'_>) -> Result<Case<'a>> {
    let [n] = name.sizes()?;
    let [x, y] = [Operand::new(1, &[n, n]), Operand::new(2, &[n, n])];
    let flops = 2 * n * n * n;
    match name.words.get(1).copied() {
        Some("f32") => {
            let (a, b) = (x.tensor(gpu)?, y.tensor(gpu)?);
            let (c, d) = (a.clone(), b.clone());
            let case = Case::op(gpu, "f32", move || Ok(a.matmul(&b)?));
            Ok(case.work(flops, 12 * n * n).checked(move || check(n, &x, &y, &c.matmul(&d)?)))
        }
        Some("f16") => {
            let (a, b) = (x.half(gpu)?, y.half(gpu)?);
            // In f32, to be held against the operands' exact product.
            let options = MatmulOptions { out_dtype: Some(DType::F32), ..MatmulOptions::default() };
            let (c, d) = (a.clone(), b.clone());
            let case = Case::op(gpu, "f16", move || Ok(a.matmul_with(&b, options)?));
            Ok(case.work(flops, 8 * n * n).checked(move || check(n, &x, &y, &c.matmul_with(&d, options)?)))
        }
        _ => Err(name.unknown()),
    }
}

/// Some rows and columns.
fn check(n: usize, a: &Operand, b: &Operand, c: &Tensor) -> Result<f64> {
    let (few, all) = (some(n), all(n));
    let want = reference::matmul(&a.pick(&[&few, &all]), &b.pick(&[&all, &few]), false, false);
    compare("matmul", &pick(&c.to_vec()?, &[n, n], &[&few, &few]), &want, n)
}
