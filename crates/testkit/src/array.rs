//! The dense array that references compute on.

/// A dense row-major array of `f64`. A scalar has the empty shape and one element.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Length of each axis, outermost first.
    pub shape: Vec<usize>,
    /// The elements, last axis fastest.
    pub data: Vec<f64>,
}

impl Array {
    /// An array of `shape` holding `data` in row-major order.
    ///
    /// # Panics
    /// Where `data` is not as long as the shape's product.
    #[track_caller]
    pub fn new(shape: &[usize], data: Vec<f64>) -> Self {
        let len: usize = shape.iter().product();
        assert_eq!(data.len(), len, "an array of shape {shape:?} has {len} elements");
        Self { shape: shape.to_vec(), data }
    }

    /// A scalar: no axes, one element.
    pub fn scalar(value: f64) -> Self {
        Self { shape: Vec::new(), data: vec![value] }
    }

    /// An array of zeros.
    pub fn zeros(shape: &[usize]) -> Self {
        Self::full(shape, 0.0)
    }

    /// An array with `value` in every element.
    pub fn full(shape: &[usize], value: f64) -> Self {
        Self { shape: shape.to_vec(), data: vec![value; shape.iter().product()] }
    }

    /// An array whose element at each index is `f(index)`, called in row-major order.
    pub fn from_fn(shape: &[usize], mut f: impl FnMut(&[usize]) -> f64) -> Self {
        let len = shape.iter().product();
        let mut index = vec![0; shape.len()];
        let mut data = Vec::with_capacity(len);
        for _ in 0..len {
            data.push(f(&index));
            advance(&mut index, shape);
        }
        Self { shape: shape.to_vec(), data }
    }

    /// An array of `shape` from values of the GPU's type, which `f64` holds exactly.
    ///
    /// # Panics
    /// Where `data` is not as long as the shape's product.
    #[track_caller]
    pub fn from_f32(shape: &[usize], data: &[f32]) -> Self {
        Self::new(shape, data.iter().map(|&v| f64::from(v)).collect())
    }

    /// The elements rounded to the GPU's type, in row-major order.
    pub fn to_f32(&self) -> Vec<f32> {
        self.data.iter().map(|&v| v as f32).collect()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are no elements, that is, some axis has length 0.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Distance in elements between neighbours along each axis.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.rank()];
        for axis in (1..self.rank()).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis];
        }
        strides
    }

    /// The element at a multi-dimensional index.
    ///
    /// # Panics
    /// Where the index has another rank or lies outside the shape.
    #[track_caller]
    pub fn at(&self, index: &[usize]) -> f64 {
        let inside = index.len() == self.rank() && index.iter().zip(&self.shape).all(|(i, n)| i < n);
        assert!(inside, "index {index:?} lies outside shape {:?}", self.shape);
        self.data[offset(index, &self.strides())]
    }

    /// The multi-dimensional index of the element at `flat` in row-major order.
    ///
    /// # Panics
    /// Where `flat` is not below [`Self::len`].
    #[track_caller]
    pub fn unravel(&self, flat: usize) -> Vec<usize> {
        assert!(flat < self.len(), "element {flat} of an array with {} elements", self.len());
        self.strides().iter().zip(&self.shape).map(|(stride, n)| flat / stride % n).collect()
    }

    /// The array with `f` applied to each element.
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), data: self.data.iter().map(|&v| f(v)).collect() }
    }
}

/// Position in memory of `index` under `strides`.
pub(crate) fn offset(index: &[usize], strides: &[usize]) -> usize {
    index.iter().zip(strides).map(|(i, stride)| i * stride).sum()
}

/// Moves `index` to its row-major successor; after the last one it is all zeros again.
pub(crate) fn advance(index: &mut [usize], shape: &[usize]) {
    for axis in (0..shape.len()).rev() {
        index[axis] += 1;
        if index[axis] < shape[axis] {
            return;
        }
        index[axis] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_fn_visits_row_major_and_at_finds_the_elements() {
        let x = Array::from_fn(&[2, 3, 4], |i| (100 * i[0] + 10 * i[1] + i[2]) as f64);
        assert_eq!(x.strides(), [12, 4, 1]);
        assert_eq!(&x.data[..5], [0.0, 1.0, 2.0, 3.0, 10.0]);
        assert_eq!(x.at(&[1, 2, 3]), 123.0);
        for flat in 0..x.len() {
            assert_eq!(x.at(&x.unravel(flat)), x.data[flat]);
        }
    }

    #[test]
    fn scalars_and_empty_arrays() {
        assert_eq!(Array::scalar(2.0), Array::full(&[], 2.0));
        assert_eq!(Array::from_fn(&[], |i| i.len() as f64), Array::scalar(0.0));
        assert_eq!(Array::scalar(5.0).at(&[]), 5.0);
        let empty = Array::from_fn(&[3, 0], |_| 1.0);
        assert!(empty.is_empty() && empty == Array::zeros(&[3, 0]));
    }

    #[test]
    fn f32_survives_the_round_trip() {
        let values = [0.1f32, -3.25, f32::MIN_POSITIVE, f32::MAX];
        assert_eq!(Array::from_f32(&[2, 2], &values).to_f32(), values);
    }

    #[test]
    #[should_panic(expected = "lies outside shape")]
    fn at_rejects_an_index_outside() {
        Array::zeros(&[2, 3]).at(&[0, 3]);
    }
}
