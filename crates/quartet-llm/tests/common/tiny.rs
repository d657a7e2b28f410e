//! Models of a few thousand random weights, small enough to write for every test.

use quartet_gguf::{GgufWriter, TensorType, Value};

const WIDTH: u64 = 32;
const FEED_FORWARD: u64 = 64;
const LAYERS: u64 = 2;
/// Context length of all models, in tokens.
pub const CONTEXT: u32 = 512;

/// The same numbers every time: a linear congruential generator (Knuth's MMIX constants).
pub struct Weights(pub u64);

impl Weights {
    pub fn next(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 0.6
    }

    fn matrix(&mut self, file: &mut GgufWriter, name: &str, shape: &[u64]) {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.next()).collect();
        file.tensor(name, shape, TensorType::F32, &values).unwrap();
    }

    fn linear(&mut self, file: &mut GgufWriter, name: &str, input: u64, output: u64) {
        self.matrix(file, &format!("{name}.weight"), &[input, output]);
        self.matrix(file, &format!("{name}.bias"), &[output]);
    }

    fn feed_forward(&mut self, file: &mut GgufWriter, layer: u64) {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        ones(file, &name("ffn_norm"), WIDTH);
        self.matrix(file, &name("ffn_gate"), &[WIDTH, FEED_FORWARD]);
        self.matrix(file, &name("ffn_up"), &[WIDTH, FEED_FORWARD]);
        self.matrix(file, &name("ffn_down"), &[FEED_FORWARD, WIDTH]);
    }
}

fn ones(file: &mut GgufWriter, name: &str, length: u64) {
    file.tensor(name, &[length], TensorType::F32, &vec![1.0; length as usize]).unwrap();
}

/// The 256 characters that stand for bytes in a byte-level vocabulary: printable ones for
/// themselves, the rest from U+0100 on.
fn byte_characters() -> Vec<char> {
    let mut next = 0x100;
    (0..=255u32)
        .map(|byte| {
            let shown = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
            let code = if shown { byte } else { next };
            if !shown {
                next += 1;
            }
            char::from_u32(code).unwrap()
        })
        .collect()
}

/// The byte-level vocabulary of both generators: 256 bytes, a few merges, three control tokens.
fn byte_level(file: &mut GgufWriter) -> u64 {
    let merges = ["h e", "l l", "he ll", "hell o", "Ġ w"];
    let mut tokens: Vec<String> = byte_characters().iter().map(char::to_string).collect();
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    let controls = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
    let mut kinds = vec![1; tokens.len()];
    let end = tokens.len() as u32;
    tokens.extend(controls.map(str::to_owned));
    kinds.extend([3; 3]);
    file.set("tokenizer.ggml.model", Value::string("gpt2"))
        .set("tokenizer.ggml.pre", Value::string("qwen2"))
        .set("tokenizer.ggml.tokens", Value::strings(&tokens))
        .set("tokenizer.ggml.token_type", Value::i32s(&kinds))
        .set("tokenizer.ggml.merges", Value::strings(merges))
        .set("tokenizer.ggml.bos_token_id", Value::u32(end + 1))
        .set("tokenizer.ggml.eos_token_id", Value::u32(end + 2))
        .set("tokenizer.ggml.padding_token_id", Value::u32(end))
        .set("tokenizer.ggml.add_bos_token", Value::Bool(false));
    tokens.len() as u64
}

/// A `qwen2` model with a byte-level vocabulary of 256 bytes, a few merges and the control
/// tokens of its chat template.
pub fn generator() -> GgufWriter {
    let mut file = GgufWriter::new();
    file.set("general.architecture", Value::string("qwen2"))
        .set("general.name", Value::string("tiny generator"))
        .set("qwen2.block_count", Value::u32(LAYERS as u32))
        .set("qwen2.context_length", Value::u32(CONTEXT))
        .set("qwen2.embedding_length", Value::u32(WIDTH as u32))
        .set("qwen2.feed_forward_length", Value::u32(FEED_FORWARD as u32))
        .set("qwen2.attention.head_count", Value::u32(4))
        .set("qwen2.attention.head_count_kv", Value::u32(2))
        .set("qwen2.attention.layer_norm_rms_epsilon", Value::f32(1e-6))
        .set(
            "tokenizer.chat_template",
            Value::string(
                "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
            ),
        );
    let count = byte_level(&mut file);
    let mut weights = Weights(7);
    let w = &mut weights;
    w.matrix(&mut file, "token_embd.weight", &[WIDTH, count]);
    ones(&mut file, "output_norm.weight", WIDTH);
    w.matrix(&mut file, "output.weight", &[WIDTH, count]);
    for layer in 0..LAYERS {
        let name = |part: &str| format!("blk.{layer}.{part}");
        ones(&mut file, &name("attn_norm.weight"), WIDTH);
        w.linear(&mut file, &name("attn_q"), WIDTH, WIDTH);
        w.linear(&mut file, &name("attn_k"), WIDTH, WIDTH / 2);
        w.linear(&mut file, &name("attn_v"), WIDTH, WIDTH / 2);
        w.matrix(&mut file, &name("attn_output.weight"), &[WIDTH, WIDTH]);
        w.feed_forward(&mut file, layer);
    }
    file
}

/// The embedding of a token of [`generator`], whose table is written first.
pub fn generator_embedding(token: usize) -> Vec<f32> {
    let mut weights = Weights(7);
    let values: Vec<f32> = (0..(token + 1) * WIDTH as usize).map(|_| weights.next()).collect();
    values[token * WIDTH as usize..].to_vec()
}

/// The output matrix of [`generator`], row by row: the next one that is written.
pub fn generator_head() -> Vec<f32> {
    let count = byte_level(&mut GgufWriter::new());
    let mut weights = Weights(7);
    (0..WIDTH * count).for_each(|_| {
        weights.next();
    });
    (0..WIDTH * count).map(|_| weights.next()).collect()
}

/// A `gemma3` model: scaled embeddings, which are its output matrix as well, normalised heads,
/// norms after each half of a block, a sliding window in its first layers, and a start token.
/// No chat template, as the base models have none.
pub fn gemma() -> GgufWriter {
    const HEAD: u64 = 16;
    let mut file = GgufWriter::new();
    file.set("general.architecture", Value::string("gemma3"))
        .set("general.name", Value::string("tiny gemma"))
        .set("gemma3.block_count", Value::u32(LAYERS as u32))
        .set("gemma3.context_length", Value::u32(CONTEXT))
        .set("gemma3.embedding_length", Value::u32(WIDTH as u32))
        .set("gemma3.feed_forward_length", Value::u32(FEED_FORWARD as u32))
        .set("gemma3.attention.head_count", Value::u32(4))
        .set("gemma3.attention.head_count_kv", Value::u32(1))
        .set("gemma3.attention.key_length", Value::u32(HEAD as u32))
        .set("gemma3.attention.value_length", Value::u32(HEAD as u32))
        .set("gemma3.attention.layer_norm_rms_epsilon", Value::f32(1e-6))
        .set("gemma3.attention.sliding_window", Value::u32(64))
        .set("gemma3.rope.freq_base", Value::f32(1e6));
    let count = byte_level(&mut file);
    file.set("tokenizer.ggml.add_bos_token", Value::Bool(true));
    let mut weights = Weights(13);
    let w = &mut weights;
    w.matrix(&mut file, "token_embd.weight", &[WIDTH, count]);
    ones(&mut file, "output_norm.weight", WIDTH);
    for layer in 0..LAYERS {
        let name = |part: &str| format!("blk.{layer}.{part}");
        for part in ["attn_norm.weight", "post_attention_norm.weight", "post_ffw_norm.weight"] {
            ones(&mut file, &name(part), WIDTH);
        }
        for part in ["attn_q_norm.weight", "attn_k_norm.weight"] {
            ones(&mut file, &name(part), HEAD);
        }
        w.matrix(&mut file, &name("attn_q.weight"), &[WIDTH, 4 * HEAD]);
        w.matrix(&mut file, &name("attn_k.weight"), &[WIDTH, HEAD]);
        w.matrix(&mut file, &name("attn_v.weight"), &[WIDTH, HEAD]);
        w.matrix(&mut file, &name("attn_output.weight"), &[4 * HEAD, WIDTH]);
        w.feed_forward(&mut file, layer);
    }
    file
}

/// A `bert` model with a word-piece vocabulary of some words, letters and endings.
pub fn embedder() -> GgufWriter {
    let mut tokens: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned).to_vec();
    let mut kinds = vec![3; tokens.len()];
    let words = ["the", "lamp", "sea", "light", "house", "."];
    tokens.extend(words.map(|word| format!("\u{2581}{word}")));
    tokens.extend(('a'..='z').map(|letter| format!("\u{2581}{letter}")));
    tokens.extend(('a'..='z').map(String::from));
    tokens.push("house".to_owned());
    kinds.resize(tokens.len(), 1);
    let count = tokens.len() as u64;

    let mut file = GgufWriter::new();
    file.set("general.architecture", Value::string("bert"))
        .set("general.name", Value::string("tiny embedder"))
        .set("bert.block_count", Value::u32(LAYERS as u32))
        .set("bert.context_length", Value::u32(CONTEXT))
        .set("bert.embedding_length", Value::u32(WIDTH as u32))
        .set("bert.feed_forward_length", Value::u32(FEED_FORWARD as u32))
        .set("bert.attention.head_count", Value::u32(4))
        .set("bert.attention.layer_norm_epsilon", Value::f32(1e-12))
        .set("bert.attention.causal", Value::Bool(false))
        .set("bert.pooling_type", Value::u32(1))
        .set("tokenizer.ggml.model", Value::string("bert"))
        .set("tokenizer.ggml.token_type_count", Value::u32(2))
        .set("tokenizer.ggml.tokens", Value::strings(&tokens))
        .set("tokenizer.ggml.token_type", Value::i32s(&kinds))
        .set("tokenizer.ggml.padding_token_id", Value::u32(0))
        .set("tokenizer.ggml.unknown_token_id", Value::u32(1))
        .set("tokenizer.ggml.bos_token_id", Value::u32(2))
        .set("tokenizer.ggml.seperator_token_id", Value::u32(3))
        .set("tokenizer.ggml.mask_token_id", Value::u32(4));
    let mut weights = Weights(11);
    let w = &mut weights;
    w.matrix(&mut file, "token_embd.weight", &[WIDTH, count]);
    w.matrix(&mut file, "token_types.weight", &[WIDTH, 2]);
    w.matrix(&mut file, "position_embd.weight", &[WIDTH, u64::from(CONTEXT)]);
    ones(&mut file, "token_embd_norm.weight", WIDTH);
    w.matrix(&mut file, "token_embd_norm.bias", &[WIDTH]);
    for layer in 0..LAYERS {
        let name = |part: &str| format!("blk.{layer}.{part}");
        for part in ["attn_q", "attn_k", "attn_v", "attn_output"] {
            w.linear(&mut file, &name(part), WIDTH, WIDTH);
        }
        w.linear(&mut file, &name("ffn_up"), WIDTH, FEED_FORWARD);
        w.linear(&mut file, &name("ffn_down"), FEED_FORWARD, WIDTH);
        for part in ["attn_output_norm", "layer_output_norm"] {
            ones(&mut file, &name(&format!("{part}.weight")), WIDTH);
            w.matrix(&mut file, &name(&format!("{part}.bias")), &[WIDTH]);
        }
    }
    file
}
