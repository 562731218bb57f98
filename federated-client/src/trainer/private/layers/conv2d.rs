use burn::{
    module::{Param, ParamId},
    nn::conv::Conv2d,
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};

use super::{
    factors::Factors,
    part::{Entry, Part, PerExample, Weighted},
    watch::{constant, watch},
    whole::Whole,
    windows::Windows,
};

/// Records a convolution; `trained` is its weight and bias, where they train.
pub(in crate::trainer::private) fn conv2d<B: AutodiffBackend>(
    layer: &Conv2d<B>,
    input: Tensor<B, 4>,
    trained: [Option<ParamId>; 2],
    first: bool,
) -> (Tensor<B, 4>, Entry<B>) {
    let [_, channels, height, width] = input.dims();
    let windows = Windows::new(layer, [height, width]);
    if first && windows.groups == 1 && channels <= FEW {
        return seen(layer, windows, input.inner(), trained);
    }
    let given = input.clone().inner();
    let mut bare = layer.clone();
    bare.weight = Param::initialized(layer.weight.id, constant(layer.weight.val()));
    bare.bias = layer.bias.as_ref().map(|bias| Param::initialized(bias.id, constant(bias.val())));
    let [output, watched] = watch(bare.forward(input), first);
    let entry: Entry<B> = Box::new(move |gradients| {
        let Some(gradient) = watched.grad_remove(gradients) else { return Vec::new() };
        let [weight, bias] = trained;
        let [examples, outputs, rows, columns] = gradient.dims();
        let bias = bias.map(|id| {
            let places = gradient.clone().reshape([examples, outputs, rows * columns]);
            Part::new(id, Whole(places.sum_dim(2).squeeze_dim(2)))
        });
        let order = Order { kernel: windows.kernel, channels: channels / windows.groups, outputs };
        let weight = weight.map(|id| Part { id, gradients: weights(windows, order, given, gradient) });
        weight.into_iter().chain(bias).collect()
    });
    (output, entry)
}

/// The most channels of which all that a kernel sees is copied. With more, copies cost more than they save.
const FEW: usize = 4;

/// Records a convolution of images that nothing trains: with few channels, by what the kernel sees at each place. It is made once,
/// for the output and for the gradients.
fn seen<B: AutodiffBackend>(
    layer: &Conv2d<B>,
    windows: Windows,
    images: Tensor<B::InnerBackend, 4>,
    trained: [Option<ParamId>; 2],
) -> (Tensor<B, 4>, Entry<B>) {
    let [examples, ..] = images.dims();
    let [outputs, channels, height, width] = layer.weight.dims();
    let size = channels * height * width;
    let (columns, [down, across]) = windows.columns(images);
    let kernels = layer.weight.val().inner().reshape([1, outputs, size]);
    let bias = match &layer.bias {
        Some(bias) => bias.val().inner().reshape([1, outputs, 1]),
        None => Tensor::zeros([1, outputs, 1], &kernels.device()),
    };
    let output = Tensor::cat(vec![kernels, bias], 2).matmul(columns.clone());
    let [output, watched] =
        watch(Tensor::from_inner(output.reshape([examples, outputs, down, across])), true);
    let entry: Entry<B> = Box::new(move |gradients| {
        let Some(gradient) = watched.grad_remove(gradients) else { return Vec::new() };
        let gradient = gradient.reshape([examples, outputs, down * across]);
        let [weight, bias] = trained;
        let bias = bias.map(|id| Part::new(id, Whole(gradient.clone().sum_dim(2).squeeze_dim(2))));
        let whole = |id| {
            let seen = columns.narrow(1, 0, size).swap_dims(1, 2);
            Part::new(id, Whole(gradient.matmul(seen).reshape([examples, outputs * size])))
        };
        weight.map(whole).into_iter().chain(bias).collect()
    });
    (output, entry)
}

/// The gradients of the weight: whole, or as factors where the places are so few that these are smaller.
fn weights<I: Backend>(
    windows: Windows,
    order: Order,
    given: Tensor<I, 4>,
    gradient: Tensor<I, 4>,
) -> Box<dyn PerExample<I>> {
    let [examples, outputs, rows, columns] = gradient.dims();
    let (seen, places) = (order.kernel[0] * order.kernel[1] * order.channels, rows * columns);
    if windows.groups == 1 && Factors::<I>::are_smaller(places, seen, outputs) {
        let inputs = windows.unfolded(given, [rows, columns]);
        let outputs = gradient.reshape([examples, outputs, places]).swap_dims(1, 2);
        return Box::new(Reordered {
            order,
            from: From::Seen,
            gradients: Box::new(Factors { inputs, outputs }),
        });
    }
    let whole = windows.weight_gradients(given, gradient).reshape([examples, seen * outputs]);
    Box::new(Reordered { order, from: From::Rows, gradients: Box::new(Whole(whole)) })
}

/// The sizes of a weight.
#[derive(Clone, Copy)]
struct Order {
    kernel: [usize; 2],
    channels: usize,
    outputs: usize,
}

/// In which order gradients were made.
#[derive(Clone, Copy)]
enum From {
    /// Kernel height, kernel width, channels, outputs.
    Seen,
    /// Kernel height, outputs, kernel width, channels.
    Rows,
}

/// Gradients whose sum is brought into the weight's order: outputs, channels, kernel height, kernel width.
struct Reordered<I: Backend> {
    order: Order,
    from: From,
    gradients: Box<dyn PerExample<I>>,
}

impl<I: Backend> PerExample<I> for Reordered<I> {
    fn squared_norms(&self) -> Tensor<I, 1> {
        self.gradients.squared_norms()
    }

    fn weighted(self: Box<Self>, weights: Tensor<I, 1>) -> Weighted<I> {
        let Order { kernel: [height, width], channels, outputs } = self.order;
        let sum = self.gradients.weighted(weights).sum();
        let elements = height * width * channels * outputs;
        let ordered = match self.from {
            From::Seen => sum.reshape([height, width, channels, outputs]).permute([3, 2, 0, 1]),
            From::Rows => sum.reshape([height, outputs, width, channels]).permute([1, 3, 0, 2]),
        };
        Weighted::Sum(ordered.reshape([elements]))
    }
}
