/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

/** Attributes that the publisher writes. */
final class Attributes {

    /** Number of rows that Snowflake rejected. */
    static final String ROW_ERRORS = "channel.status.row.errors.added";
    /** Offset token that the first row of a FlowFile with a part of the rows has at least. */
    static final String OFFSET_START = "snowpipe.streaming.offset.start";
    /** Offset token that the last row of a FlowFile with a part of the rows has at most. */
    static final String OFFSET_END = "snowpipe.streaming.offset.end";
    /** Why a FlowFile is not successful. */
    static final String MESSAGE = "snowpipe.streaming.message";

    private Attributes() {}
}
