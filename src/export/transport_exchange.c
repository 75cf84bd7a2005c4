/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/transport.h"

enum { EXCHANGE_STEP_MS = 200 };

enum weir_status weir_transport_exchange(const struct weir_transport *transport,
                                         const struct weir_transport_request *request,
                                         struct weir_transport_reply *ret)
{
    WEIR_TRY(transport->send(transport->self, request));
    enum weir_status status = transport->reply(transport->self, ret);
    while (status == WEIR_EEND) { /* ends: the request has a time limit */
        WEIR_TRY(transport->wait(transport->self, -1, EXCHANGE_STEP_MS));
        status = transport->reply(transport->self, ret);
    }
    return status;
}
