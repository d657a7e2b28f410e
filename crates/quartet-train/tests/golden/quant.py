import sys,json,random,struct
import numpy as np, gguf
from gguf import quants, GGMLQuantizationType as T
rng=np.random.default_rng(3)
out={}
for name in ['F16','BF16','Q4_0','Q4_1','Q5_0','Q5_1','Q8_0','Q2_K','Q3_K','Q4_K','Q5_K','Q6_K','IQ4_NL','IQ4_XS']:
    t=T[name]; bs,ts=gguf.GGML_QUANT_SIZES[t]
    n=2 if bs>1 else 64
    raw=rng.integers(0,256,size=(n,ts),dtype=np.uint8)
    # sensible f16 scales
    offs={'Q4_0':[0],'Q4_1':[0,2],'Q5_0':[0],'Q5_1':[0,2],'Q8_0':[0],'Q2_K':[80,82],'Q3_K':[108],'Q4_K':[0,2],'Q5_K':[0,2],'Q6_K':[208],'IQ4_NL':[0],'IQ4_XS':[0]}.get(name,[])
    for i in range(n):
        for o in offs: raw[i,o:o+2]=np.frombuffer(np.float16(rng.uniform(-2,2)).tobytes(),dtype=np.uint8)
    if name=='F16': raw=np.frombuffer(rng.normal(size=n).astype(np.float16).tobytes(),dtype=np.uint8).reshape(n,2)
    if name=='BF16': raw[:,1]=(raw[:,1]&0x80)|0x3e
    y=quants.dequantize(raw.reshape(-1),t).reshape(-1)
    assert np.isfinite(y).all(),name
    # digest of positions: keep every 7th value
    out[name]={'bytes':raw.tobytes().hex(),'values':[float('%.7g'%v) for v in y[::7]]}
json.dump(out,open('tests/fixtures/quantised.json','w'),separators=(',',':'))
