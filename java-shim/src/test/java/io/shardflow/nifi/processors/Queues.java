/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import java.util.Map;
import org.apache.nifi.util.MockFlowFile;
import org.apache.nifi.util.TestRunner;

/** What goes into a publisher and comes out of it. */
final class Queues {

    private Queues() {}

    /** Puts FlowFiles with this content into the queue, one row a FlowFile by their attributes. */
    static void enqueue(final TestRunner runner, final String content, final int count) {
        for (int i = 1; i <= count; i++) {
            final String number = Integer.toString(i);
            runner.enqueue(content, Map.of("start", number, "end", number, "shard", "s"));
        }
    }

    /** The one FlowFile of a relationship. */
    static MockFlowFile only(final TestRunner runner, final String relationship) {
        runner.assertTransferCount(relationship, 1);
        return runner.getFlowFilesForRelationship(relationship).getFirst();
    }
}
