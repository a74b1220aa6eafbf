use crate::device::Gpu;
use crate::faults::Fault;
use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};
use half::f16;
use rnn_core::{DType, Data, HostTensor};
use rnn_graph::{DeviceError, TensorType};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Instant;

/// A range of a buffer.
pub(crate) struct BufferRange {
    /// The buffer.
    pub buffer: wgpu::Buffer,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
}

impl BufferRange {
    /// Returns the range of `len` four-byte words of `buffer` from word `offset` on. That it lies
    /// within the buffer is not checked.
    pub fn new(buffer: wgpu::Buffer, offset: usize, len: usize) -> Self {
        Self { buffer, offset: 4 * offset as u64, bytes: 4 * len as u64 }
    }
}

/// A copy of device memory in flight to the host.
pub(crate) struct Readback {
    staging: wgpu::Buffer,
    bytes: u64,
    submission: wgpu::SubmissionIndex,
    arrival: OneshotReceiver<Result<(), wgpu::BufferAsyncError>>,
    arrived: bool,
}

impl Readback {
    /// Queues a copy of the ranges to the host, one after the other, without waiting for it.
    ///
    /// # Errors
    /// Fails if the device has no memory for the copy, or is lost.
    pub fn start(gpu: &Gpu, parts: &[&BufferRange]) -> Result<Self, DeviceError> {
        let bytes = parts.iter().map(|p| p.bytes).sum();
        let staging = Self::staging(gpu, bytes)?;
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let mut at = 0;
        for part in parts.iter().filter(|p| p.bytes > 0) {
            encoder.copy_buffer_to_buffer(&part.buffer, part.offset, &staging, at, part.bytes);
            at += part.bytes;
        }
        Self::submit(gpu, encoder, staging, bytes)
    }

    /// Creates a buffer of `bytes` bytes that the host can read.
    ///
    /// # Errors
    /// Fails if the device has no memory for it, or is lost.
    pub fn staging(gpu: &Gpu, bytes: u64) -> Result<wgpu::Buffer, DeviceError> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        gpu.guarded(|| gpu.buffer("a copy for the host", bytes, usage))
    }

    /// Submits the commands that fill the first `bytes` bytes of `staging`, and requests its
    /// mapping.
    ///
    /// # Errors
    /// Fails if the device is lost or refuses a command.
    pub fn submit(
        gpu: &Gpu,
        encoder: wgpu::CommandEncoder,
        staging: wgpu::Buffer,
        bytes: u64,
    ) -> Result<Self, DeviceError> {
        let submission = gpu.submit(encoder)?;
        let (sender, arrival) = oneshot_channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // The receiver may be gone; then nobody needs the bytes.
            let _ = sender.send(result);
        });
        Ok(Self { staging, bytes, submission, arrival, arrived: false })
    }

    /// Completes when the bytes are here. Each poll of this future lets wgpu run its callbacks and
    /// asks to be polled again, since no thread does that; in a browser the event loop does.
    async fn arrive(&mut self, gpu: &Gpu) -> Result<(), DeviceError> {
        if self.arrived {
            return Ok(());
        }
        let mut arrival = pin!(self.arrival.receive());
        let received = poll_fn(|context| {
            if let Err(error) = gpu.poll() {
                return Poll::Ready(Err(error));
            }
            let received = arrival.as_mut().poll(context);
            if received.is_pending() && cfg!(not(target_family = "wasm")) {
                context.waker().wake_by_ref();
            }
            received.map(Ok)
        });
        match received.await? {
            Some(Ok(())) => self.arrived = true,
            Some(Err(error)) => return Err(refused(gpu, error)),
            None => return Err(refused(gpu, "a copy was dropped")),
        }
        Ok(())
    }

    /// Returns true if the bytes have arrived, without blocking.
    ///
    /// # Errors
    /// Fails if the device is lost.
    pub fn arrived(&mut self, gpu: &Gpu) -> Result<bool, DeviceError> {
        match pin!(self.arrive(gpu)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(arrived) => arrived.map(|()| true),
            Poll::Pending => Ok(false),
        }
    }

    /// Passes the bytes to `read` once they have arrived.
    ///
    /// # Errors
    /// Fails if the device is lost.
    pub async fn read<T>(
        mut self,
        gpu: &Gpu,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, DeviceError> {
        self.arrive(gpu).await?;
        let view = self.staging.get_mapped_range(..).map_err(|error| refused(gpu, error))?;
        Ok(read(&view[..self.bytes as usize]))
    }

    /// Blocks until the bytes have arrived and passes them to `read`.
    ///
    /// # Errors
    /// Fails if the device is lost or hangs.
    pub fn finish<T>(mut self, gpu: &Gpu, read: impl FnOnce(&[u8]) -> T) -> Result<T, DeviceError> {
        if !self.arrived {
            gpu.wait(self.submission.clone())?;
            // A poll on another thread may have taken the callback, which it is about to call.
            let waiting = Instant::now();
            while !self.arrived(gpu)? {
                if waiting.elapsed() > gpu.patience {
                    return Err(refused(gpu, "a copy did not arrive with its submission"));
                }
                thread::yield_now();
            }
        }
        pollster::block_on(self.read(gpu, read))
    }
}

/// The device's fault, if there is one that explains this.
fn refused(gpu: &Gpu, message: impl ToString) -> DeviceError {
    gpu.explain(Fault::Refused(message.to_string()))
}

/// Converts bytes of a device to a host tensor; half precision is widened.
///
/// # Errors
/// Fails if the bytes are not those of a tensor of this type.
pub(crate) fn tensor(ty: &TensorType, bytes: &[u8]) -> Result<HostTensor, DeviceError> {
    let data = match ty.dtype {
        DType::F32 => Data::F32(bytemuck::pod_collect_to_vec(bytes)),
        DType::F16 => {
            let halves =
                bytes.chunks_exact(2).take(ty.len()).map(|b| f16::from_le_bytes([b[0], b[1]]));
            Data::F32(halves.map(f16::to_f32).collect())
        }
        DType::U32 => Data::U32(bytemuck::pod_collect_to_vec(bytes)),
    };
    Ok(HostTensor::new(ty.shape.clone(), data)?)
}
