use burn::{
    nn::{PaddingConfig2d, conv::Conv2d},
    tensor::{Slice, Tensor, backend::Backend},
};

/// The sizes of a convolution on inputs of one size.
#[derive(Clone, Copy)]
pub(super) struct Windows {
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    pub(super) groups: usize,
    /// Rows and columns of zeros before and after the input.
    padding: [(usize, usize); 2],
}

impl Windows {
    /// Those of a layer on inputs of this height and width.
    pub(super) fn new<B: Backend>(layer: &Conv2d<B>, size: [usize; 2]) -> Self {
        let (kernel, stride) = (layer.kernel_size, layer.stride);
        let padding = match layer.padding {
            PaddingConfig2d::Valid => [(0, 0); 2],
            PaddingConfig2d::Explicit(top, left, bottom, right) => [(top, bottom), (left, right)],
            PaddingConfig2d::Same => {
                // As burn has it: dilation does not count, and what is odd goes to the end.
                let of = |axis: usize| {
                    let needed =
                        (size[axis].div_ceil(stride[axis]).saturating_sub(1)) * stride[axis] + kernel[axis];
                    let total = needed.saturating_sub(size[axis]);
                    (total / 2, total - total / 2)
                };
                [of(0), of(1)]
            }
        };
        Self { kernel, stride, dilation: layer.dilation, groups: layer.groups, padding }
    }

    /// The gradient of the weight for each example, from the convolution's input and the gradient of its output:
    /// `[examples, kernel height, channels out, kernel width * channels in of a group]`.
    ///
    /// With the channels last and the image padded, what a row of the kernel sees at one place is a run of consecutive numbers, and at
    /// the next place it begins one pixel further on. So all it sees is a matrix whose rows overlap in memory: no window
    /// is copied. Going through the image in one run passes over places where the kernel would hang over the edge, and with a stride
    /// over places that are left out; the output's gradient has zeros there.
    pub(super) fn weight_gradients<I: Backend>(
        self,
        input: Tensor<I, 4>,
        gradient: Tensor<I, 4>,
    ) -> Tensor<I, 4> {
        let [examples, channels, ..] = input.dims();
        let outputs = gradient.dims()[1];
        let padded = self.padded(input);
        let [_, height, width, _] = padded.dims();
        let reach = |axis: usize| self.dilation[axis] * (self.kernel[axis] - 1);
        let (rows, columns) = (height - reach(0), width - reach(1));
        let places = (rows - 1) * width + columns;
        let gradient = self.spread(gradient, [rows, width]).reshape([examples, outputs, rows * width]);
        let gradient = gradient.slice([0..examples, 0..outputs, 0..places]);
        let (channels, outputs) = (channels / self.groups, outputs / self.groups);
        let of_group = |group: usize| {
            let image = match self.groups {
                1 => padded.clone(),
                _ => padded.clone().narrow(3, group * channels, channels),
            };
            let flat: Tensor<I, 2> = image.reshape([examples, height * width * channels]);
            let gradient = gradient.clone().narrow(1, group * outputs, outputs).unsqueeze_dim::<4>(1);
            // The pixels of a row of the kernel follow each other, unless it is dilated.
            let (runs, length) =
                if self.dilation[1] == 1 { (1, self.kernel[1]) } else { (self.kernel[1], 1) };
            let products = (0..runs).map(|run| {
                let pixels: Tensor<I, 3> = flat.clone().unfold(1, length * channels, channels);
                let seen = pixels.narrow(1, run * self.dilation[1], reach(0) * width + places);
                let seen: Tensor<I, 4> = seen.unfold(1, places, (self.dilation[0] * width).max(1));
                gradient.clone().matmul(seen.swap_dims(2, 3))
            });
            joined(products.collect(), 3)
        };
        joined((0..self.groups).map(of_group).collect(), 2)
    }

    /// What the kernel sees at each place, in the order of its weights, and a row of ones for the bias:
    /// `[examples, channels * kernel height * kernel width + 1, places]`. With it, the rows and columns of places.
    pub(super) fn columns<I: Backend>(self, input: Tensor<I, 4>) -> (Tensor<I, 3>, [usize; 2]) {
        let [examples, channels, height, width] = input.dims();
        let [(top, bottom), (left, right)] = self.padding;
        let (height, width) = (height + top + bottom, width + left + right);
        let places = |axis: usize, size: usize| {
            (size - self.dilation[axis] * (self.kernel[axis] - 1) - 1) / self.stride[axis] + 1
        };
        let (rows, columns) = (places(0, height), places(1, width));
        let image = [0..examples, 0..channels, top..height - bottom, left..width - right];
        let device = input.device();
        let padded = match self.padding {
            [(0, 0), (0, 0)] => input,
            _ => Tensor::zeros([examples, channels, height, width], &device).slice_assign(image, input),
        };
        let mut seen = Vec::with_capacity(self.kernel[0] * self.kernel[1]);
        for row in 0..self.kernel[0] {
            for column in 0..self.kernel[1] {
                let down = steps(row * self.dilation[0], rows, self.stride[0]);
                let across = steps(column * self.dilation[1], columns, self.stride[1]);
                let pixels = padded.clone().slice([whole(examples), whole(channels), down, across]);
                seen.push(pixels.reshape([examples, channels, 1, rows * columns]));
            }
        }
        let ones = Tensor::ones([examples, 1, rows * columns], &device);
        if channels == 1 {
            let seen = seen.into_iter().map(|pixels| pixels.reshape([examples, 1, rows * columns]));
            return (joined(seen.chain([ones]).collect(), 1), [rows, columns]);
        }
        let size = channels * self.kernel[0] * self.kernel[1];
        let seen = joined(seen, 2).reshape([examples, size, rows * columns]);
        (joined(vec![seen, ones], 1), [rows, columns])
    }

    /// What the kernel sees at each place: `[examples, places, kernel height * kernel width * channels]`.
    pub(super) fn unfolded<I: Backend>(
        self,
        input: Tensor<I, 4>,
        [rows, columns]: [usize; 2],
    ) -> Tensor<I, 3> {
        let [examples, channels, ..] = input.dims();
        let padded = self.padded(input);
        let mut seen = Vec::with_capacity(self.kernel[0] * self.kernel[1]);
        for row in 0..self.kernel[0] {
            for column in 0..self.kernel[1] {
                let down = steps(row * self.dilation[0], rows, self.stride[0]);
                let across = steps(column * self.dilation[1], columns, self.stride[1]);
                let pixels = padded.clone().slice([whole(examples), down, across, whole(channels)]);
                seen.push(pixels.reshape([examples, rows * columns, channels]));
            }
        }
        joined(seen, 2)
    }

    /// `[examples, channels, height, width]` with zeros around it, channels last.
    fn padded<I: Backend>(self, input: Tensor<I, 4>) -> Tensor<I, 4> {
        let [examples, channels, height, width] = input.dims();
        let [(top, bottom), (left, right)] = self.padding;
        let input = input.permute([0, 2, 3, 1]);
        if self.padding == [(0, 0); 2] {
            return input;
        }
        let shape = [examples, height + top + bottom, width + left + right, channels];
        let image = [0..examples, top..top + height, left..left + width, 0..channels];
        Tensor::zeros(shape, &input.device()).slice_assign(image, input)
    }

    /// A gradient at the places of its stride, among zeros.
    fn spread<I: Backend>(self, gradient: Tensor<I, 4>, [rows, columns]: [usize; 2]) -> Tensor<I, 4> {
        let [examples, channels, height, width] = gradient.dims();
        if [rows, columns] == [height, width] {
            return gradient;
        }
        let (down, across) = (steps(0, height, self.stride[0]), steps(0, width, self.stride[1]));
        let zeros = Tensor::zeros([examples, channels, rows, columns], &gradient.device());
        zeros.slice_assign([whole(examples), whole(channels), down, across], gradient)
    }
}

#[expect(clippy::cast_possible_wrap, reason = "sizes of tensors are far below 2^63")]
fn steps(from: usize, count: usize, step: usize) -> Slice {
    let end = from + count.saturating_sub(1) * step + 1;
    Slice::new(from as isize, Some(end as isize), step as isize)
}

fn whole(count: usize) -> Slice {
    steps(0, count, 1)
}

fn joined<I: Backend, const D: usize>(mut tensors: Vec<Tensor<I, D>>, axis: usize) -> Tensor<I, D> {
    if tensors.len() == 1 { tensors.remove(0) } else { Tensor::cat(tensors, axis) }
}
