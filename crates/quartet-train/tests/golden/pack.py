import json
V=96;W=32
rows=[0,7,15]
out={}
def r(v): return [float('%.6g'%x) for x in v]
for f in ['qwen2','qwen3','llama','gemma3']:
    d=json.load(open(f+'.json')); a=json.load(open(f+'-a.json')); t=d['taps']
    o={'rows':rows,'ids':d['ids']}
    o['logits']=[r(d['logits'][i*V:(i+1)*V]) for i in rows]
    o['adapted']=[r(a['logits'][i*V:(i+1)*V]) for i in rows]
    o['layers']=[r(t['l_out-%d'%l][15*W:16*W]) for l in range(4)]
    o['norm']=r(t['result_norm'][15*W:16*W])
    names={'qwen2':('Qcur-1#2','Kcur-1#2'),'llama':('Qcur-1#1','Kcur-1#1')}.get(f,('Qcur_normed-1','Kcur_normed-1'))
    o['query']=r(t[names[0]][15*32:16*32]); o['key']=r(t[names[1]][15*16:16*16])
    out[f]=o
    if f in('qwen2','llama'):
        for k in sorted(t):
            if k.startswith('Qcur-1'): print(f,k,t[k][15*32:15*32+4])
json.dump(out,open('../quartet-train/tests/fixtures/tiny-golden.json','w'),separators=(',',':'))
