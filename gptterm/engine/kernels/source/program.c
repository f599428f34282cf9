/* Programs of calls. */

#include "program.h"

#include "elementwise.h"
#include "linear.h"

static int attend_in(const operation *o, const attention *step, void *const *caches)
{
    const attention *own = o->layer;
    attention a = *step;
    a.window = own->window, a.scale = own->scale, a.soft_cap = own->soft_cap;
    a.query = own->query, a.key = own->key, a.value = own->value, a.y = own->y;
    a.query_stride = own->query_stride, a.kv_stride = own->kv_stride;
    a.keys = caches[2 * o->number], a.values = caches[2 * o->number + 1];
    return attention_forward(&a) ? 1 : -1;
}

static int run_operation(const operation *o, int rows, const attention *step, void *const *caches)
{
    switch ((operation_kind)o->kind) {
    case OP_LAYER_NORM:
        layer_norm_forward(o->layer, o->x, o->number, o->y);
        return 1;
    case OP_RMS_NORM:
        rms_norm_forward(o->layer, o->x, o->number, o->y);
        return 1;
    case OP_LINEAR:
        return linear_forward(o->layer, o->x, rows, o->other, o->y);
    case OP_LINEARS:
        return linears_forward(o->layer, o->number, o->x, rows, o->results);
    case OP_ROTARY:
        rotary_forward(o->layer, o->threads);
        return 1;
    case OP_ATTENTION:
        return attend_in(o, step, caches);
    case OP_ACTIVATION:
        break;
    }
    activation_forward(o->number, o->y, o->other, o->count, o->threads);
    return 1;
}

int program_run(const operation *operations, int count, int rows, const attention *step,
                void *const *caches)
{
    for (int i = 0; i < count; i++) {
        int result = run_operation(operations + i, rows, step, caches);
        if (result != 1)
            return result;
    }
    return 1;
}
