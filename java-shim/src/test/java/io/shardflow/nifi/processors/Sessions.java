/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.apache.nifi.processor.ProcessSession;
import org.apache.nifi.processor.ProcessSessionFactory;
import org.apache.nifi.processor.exception.TerminatedTaskException;

/** Sessions that watch or fail. */
final class Sessions {

    private static final Step NOTHING = (method, args) -> {};

    private Sessions() {}

    /** A session that tells the arguments of one method before it acts. */
    static ProcessSession watched(final ProcessSession session, final String watched, final Consumer<Object[]> before) {
        return proxy(session, when(watched, before), NOTHING);
    }

    /** A session that tells the arguments of one method after it acted. */
    static ProcessSession after(final ProcessSession session, final String watched, final Consumer<Object[]> after) {
        return proxy(session, NOTHING, when(watched, after));
    }

    private static Step when(final String watched, final Consumer<Object[]> step) {
        return (method, args) -> {
            if (watched.equals(method)) {
                step.accept(args);
            }
        };
    }

    private static ProcessSession proxy(final ProcessSession session, final Step before, final Step after) {
        return (ProcessSession) Proxy.newProxyInstance(
                ProcessSession.class.getClassLoader(),
                new Class<?>[] {ProcessSession.class},
                new Handler(session, before, after));
    }

    /** What is done before or after a method of a session. */
    private interface Step {
        void call(String method, Object[] args);
    }

    private record Handler(ProcessSession session, Step before, Step after) implements InvocationHandler {

        @Override
        public Object invoke(final Object proxy, final Method method, final Object[] args) throws Throwable {
            before.call(method.getName(), args);
            final Object answer;
            try {
                answer = method.invoke(session, args == null ? null : bare(args));
            } catch (final InvocationTargetException e) {
                throw e.getCause();
            }
            after.call(method.getName(), args);
            return answer;
        }

        /** Mock sessions know only their like. */
        private static Object[] bare(final Object[] args) {
            return Arrays.stream(args)
                    .map(arg -> arg != null
                                    && Proxy.isProxyClass(arg.getClass())
                                    && Proxy.getInvocationHandler(arg) instanceof final Handler handler
                            ? handler.session()
                            : arg)
                    .toArray();
        }
    }

    /**
     * A task that is terminated at a call of one of its sessions. As NiFi does, what is not committed is rolled back, and
     * every call from then on fails.
     */
    static final class Terminating implements ProcessSessionFactory {

        private final ProcessSessionFactory sessions;
        private final List<ProcessSession> made = new ArrayList<>();
        private int callsLeft;

        Terminating(final ProcessSessionFactory sessions, final int atCall) {
            this.sessions = sessions;
            this.callsLeft = atCall;
        }

        @Override
        public ProcessSession createSession() {
            final ProcessSession session = sessions.createSession();
            made.add(session);
            return proxy(session, (method, args) -> step(), NOTHING);
        }

        boolean isTerminated() {
            return callsLeft <= 0;
        }

        private void step() {
            if (callsLeft > 0) {
                callsLeft--;
                if (callsLeft > 0) {
                    return;
                }
                made.forEach(ProcessSession::rollback);
            }
            throw new TerminatedTaskException();
        }
    }
}
