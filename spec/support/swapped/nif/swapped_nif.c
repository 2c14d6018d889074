/* A NIF library that says which version it is of. Where UPGRADE is 0 it cannot take the place of another one. */
#include <erl_nif.h>

static ERL_NIF_TERM value(ErlNifEnv* env, int argc, const ERL_NIF_TERM argv[])
{
  (void) argc;
  (void) argv;
  return enif_make_int(env, VSN);
}

static int load(ErlNifEnv* env, void** priv, ERL_NIF_TERM info)
{
  (void) env;
  (void) priv;
  (void) info;
  return 0;
}

#if UPGRADE
static int upgrade(ErlNifEnv* env, void** priv, void** old_priv, ERL_NIF_TERM info)
{
  (void) old_priv;
  return load(env, priv, info);
}
#else
#define upgrade NULL
#endif

static ErlNifFunc functions[] = {{"value", 0, value, 0}};

ERL_NIF_INIT(swapped_nif, functions, load, NULL, upgrade, NULL)
