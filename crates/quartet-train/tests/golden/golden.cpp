// usage: golden MODEL MODE INPUT [ADAPTER SCALE]
// MODE ids: INPUT = file with whitespace token ids; prints all logits and layer outputs
#include "llama.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>
#include <map>
#include "ggml-backend.h"
static std::map<std::string,std::vector<float>> taps; static bool want=false;
static bool cb(ggml_tensor*t,bool ask,void*){ std::string n=t->name; bool w= want && (n.rfind("l_out-",0)==0||n.rfind("Qcur-",0)==0||n.rfind("Kcur-",0)==0||n.rfind("Qcur_normed-",0)==0||n.rfind("Kcur_normed-",0)==0||n=="result_norm");
 if(ask) return w; if(w){ auto&v=taps[n]; if(!(n[0]=='Q'||n[0]=='K')||true){ std::string key=n; int k=0; while(taps.count(key)&&!taps[key].empty()){ key=n+"#"+std::to_string(++k);} auto&u=taps[key]; u.resize(ggml_nelements(t)); if(ggml_is_contiguous(t)) ggml_backend_tensor_get(t,u.data(),0,ggml_nbytes(t)); else u.clear(); } } return true; }
int main(int c,char**v){ llama_log_set([](ggml_log_level,const char*,void*){},nullptr); llama_backend_init();
 auto mp=llama_model_default_params(); auto*m=llama_model_load_from_file(v[1],mp); if(!m){fprintf(stderr,"load failed\n");return 1;}
 auto cp=llama_context_default_params(); cp.n_ctx=512; cp.n_batch=512; cp.n_ubatch=512; cp.type_k=GGML_TYPE_F32; cp.type_v=GGML_TYPE_F32; cp.flash_attn_type=LLAMA_FLASH_ATTN_TYPE_DISABLED; cp.n_threads=2; cp.n_threads_batch=2; cp.cb_eval=cb;
 auto*x=llama_init_from_model(m,cp); auto*vo=llama_model_get_vocab(m); int nv=llama_vocab_n_tokens(vo);
 llama_adapter_lora*ad=nullptr; if(c>4){ ad=llama_adapter_lora_init(m,v[4]); if(!ad){fprintf(stderr,"adapter failed\n");return 2;} float s=atof(v[5]); llama_set_adapters_lora(x,&ad,1,&s);}
 auto run=[&](std::vector<llama_token>&ids){ llama_memory_clear(llama_get_memory(x),true); llama_batch b=llama_batch_init(ids.size(),0,1); b.n_tokens=ids.size(); for(size_t i=0;i<ids.size();i++){b.token[i]=ids[i];b.pos[i]=i;b.n_seq_id[i]=1;b.seq_id[i][0]=0;b.logits[i]=1;} int r=llama_decode(x,b); llama_batch_free(b); if(r){fprintf(stderr,"decode %d\n",r);exit(3);} };
 std::ifstream f(v[3]);
 if(!strcmp(v[2],"ids")){ want=true; std::vector<llama_token> ids; int t; while(f>>t) ids.push_back(t); run(ids);
  printf("{\"ids\":["); for(size_t i=0;i<ids.size();i++) printf("%s%d",i?",":"",ids[i]); printf("],\n\"logits\":["); for(size_t i=0;i<ids.size();i++){ float*l=llama_get_logits_ith(x,i); for(int j=0;j<nv;j++) printf("%s%.7g",(i||j)?",":"",l[j]); } printf("],\n\"taps\":{"); bool first=true; for(auto&p:taps){ if(p.second.empty()) continue; printf("%s\"%s\":[",first?"":",\n",p.first.c_str()); first=false; for(size_t i=0;i<p.second.size();i++) printf("%s%.6g",i?",":"",p.second[i]); printf("]"); } printf("}}\n");
 }
}
